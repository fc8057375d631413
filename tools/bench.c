#include "commands.h"
int command_bench(int c, char **v, struct why *w){(void)c;(void)v;(void)w;return 0;}
int command_report(int c, char **v, struct why *w){(void)c;(void)v;(void)w;return 0;}
