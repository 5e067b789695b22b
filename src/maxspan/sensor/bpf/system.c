/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Probe: what extends the kernel (modules, BPF programs), and what changes who a process runs as.
 */
#include "task.h"

#define BPF_PROG_LOAD 5

/* Kernel prototype: void module_load(struct module *mod) */
SEC("tp_btf/module_load")
int on_module(u64 *ctx)
{
	struct module *module = (void *)ctx[0];
	struct task_struct *task = current_task();
	struct module_record *record = reserve(struct module_record, KIND_MODULE);

	if (!record)
		return 0;
	fill_head(&record->head, task, KIND_MODULE, sizeof(*record));
	fill_ids(&record->ids, task);
	fill_comm(record->comm, task);
	record->taints = READ(module, taints);
	__builtin_memset(record->name, 0, sizeof(record->name));
	record->version[0] = record->source_version[0] = 0;
	bpf_probe_read_kernel_str(record->name, sizeof(module->name), &module->name);
	bpf_probe_read_kernel_str(record->version, sizeof(record->version), READ(module, version));
	bpf_probe_read_kernel_str(record->source_version, sizeof(record->source_version), READ(module, srcversion));
	submit(record, KIND_MODULE);
	return 0;
}

/* What of union bpf_attr (include/uapi/linux/bpf.h) belongs to BPF_PROG_LOAD; part of the ABI. */
struct load_attributes {
	u32 program_type;
	u32 instructions;
	u64 between[5];
	char name[16];
	u32 interface;
	u32 attach_type;
};

/* bpf(command, attributes, size): the result is the program's descriptor. */
SEC("tracepoint")
int on_bpf(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = current_task();
	struct load_attributes attributes = {};

	if (ctx->ret < 0 || argument(0) != BPF_PROG_LOAD)
		return 0;
	/* Old programs give fewer attributes. */
	const void *given = (const void *)argument(1);
	if ((u32)argument(2) >= sizeof(attributes))
		bpf_probe_read_user(&attributes, sizeof(attributes), given);
	else
		bpf_probe_read_user(&attributes, __builtin_offsetof(struct load_attributes, between), given);
	struct bpf_record *record = reserve(struct bpf_record, KIND_BPF);
	if (!record)
		return 0;
	fill_head(&record->head, task, KIND_BPF, sizeof(*record));
	fill_ids(&record->ids, task);
	fill_comm(record->comm, task);
	record->program_type = attributes.program_type;
	record->instructions = attributes.instructions;
	record->attach_type = attributes.attach_type;
	record->reserved = 0;
	__builtin_memcpy(record->name, attributes.name, sizeof(record->name));
	submit(record, KIND_BPF);
	return 0;
}

/* setuid, setgid and their kin, setsid; the cookie says which. setsid gives the new session, the others 0. */
SEC("tracepoint")
int on_ids(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = current_task();

	if (ctx->ret < 0)
		return 0;
	struct ids_record *record = reserve(struct ids_record, KIND_IDS);
	if (!record)
		return 0;
	fill_head(&record->head, task, KIND_IDS, sizeof(*record));
	fill_ids(&record->ids, task);
	fill_comm(record->comm, task);
	record->change = bpf_get_attach_cookie(ctx);
	record->reserved = 0;
	submit(record, KIND_IDS);
	return 0;
}
