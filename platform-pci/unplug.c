// SPDX-License-Identifier: GPL-2.0-only
#include "platform.h"
int unplug_init(void) { return 0; }
void unplug_exit(void) { }
void pvhvm_unplug_twin_up(enum pvhvm_class cls) { }
PVHVM_EXPORT(pvhvm_unplug_twin_up);
void pvhvm_unplug_twin_down(enum pvhvm_class cls) { }
PVHVM_EXPORT(pvhvm_unplug_twin_down);
bool pvhvm_unplug_emulated(enum pvhvm_class cls) { return false; }
PVHVM_EXPORT(pvhvm_unplug_emulated);
