// SPDX-License-Identifier: GPL-2.0-only
/* Is a CPU's current task a member of pcpu_hot? From 6.2 to 6.14. */
#include <linux/sched.h>

struct task_struct *pvhvm_probe(unsigned int cpu)
{
	return per_cpu(pcpu_hot.current_task, cpu);
}
