/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Probe: processes begin, become another program, end.
 */
#include "paths.h"

/* Control groups whose path was sent already. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u8);
} cgroups_sent SEC(".maps");

/* Write the names of a control group from leaf to root into the slot's data. */
noinline u32 write_cgroup_path(u32 index, u64 address)
{
	struct slot *slot = slot_at(index);
	struct kernfs_node *node = (struct kernfs_node *)address;

	if (!slot)
		return 0;
	slot->written = 0;
	for (u32 i = 0; i < 16; i++) {
		struct kernfs_node *parent;
		if (!node || slot->written > PATH_LIMIT - 256)
			break;
		if (field_exists(node->parent)) {
			parent = READ(node, parent);
		} else {
			struct kernfs_node___since_6_14 *other = (void *)node;
			parent = READ(other, __parent);
		}
		if (!parent)
			break;
		long bytes = bpf_probe_read_kernel_str(&slot->data[slot->written & DATA_MASK], 256, READ(node, name));
		if (bytes < 0)
			break;
		slot->written += bytes & 0x1ff;
		node = parent;
	}
	return slot->written & WALK_BYTES;
}

/* The id of the task's control group; its path is sent first, once. */
static always_inline u64 announce_cgroup(struct task_struct *task)
{
	struct cgroup_place place;
	u8 one = 1;

	find_cgroup(&place, task);
	u64 id = place.id;

	if (!id || bpf_map_lookup_elem(&cgroups_sent, &id))
		return id;
	s32 index = take_slot(KIND_CGROUP);
	if (index < 0)
		return id;
	struct slot *slot = slot_at(index);
	if (!slot)
		return id;
	u32 bytes = write_cgroup_path(index, as_number(slot, place.node));
	struct cgroup_record *record = record_in(slot, struct cgroup_record);
	fill_head(&record->head, task, KIND_CGROUP, 0);
	record->cgroup = id;
	record->path_bytes = bytes;
	record->reserved = 0;
	if (send_slot(slot, struct cgroup_record, KIND_CGROUP, bytes, 0))
		bpf_map_update_elem(&cgroups_sent, &id, &one, BPF_ANY);
	return id;
}

/* Kernel prototype: void sched_process_fork(struct task_struct *parent, struct task_struct *child) */
SEC("tp_btf/sched_process_fork")
int on_fork(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0];
	struct task_struct *child = (void *)ctx[1];

	if (READ(child, pid) != READ(child, tgid))
		return 0;
	u64 cgroup = announce_cgroup(child);
	struct fork_record *record = reserve(struct fork_record, KIND_FORK);
	if (!record)
		return 0;
	fill_head(&record->head, child, KIND_FORK, sizeof(*record));
	fill_ids(&record->ids, child);
	/* The one that forks, also under CLONE_PARENT, where the kernel's parent would be another. */
	record->parent_pid = READ(parent, tgid);
	record->parent_start_ns = start_of(parent);
	record->reserved = 0;
	record->cgroup = cgroup;
	fill_comm(record->comm, child);
	submit(record, KIND_FORK);
	return 0;
}

static always_inline u32 type_of(u16 mode)
{
	switch (mode & S_IFMT) {
	case S_IFSOCK:
		return FD_SOCKET;
	case S_IFIFO:
		return FD_PIPE;
	case S_IFCHR:
		return FD_CHARACTER_DEVICE;
	case S_IFBLK:
		return FD_BLOCK_DEVICE;
	case S_IFDIR:
		return FD_DIRECTORY;
	case S_IFREG:
		return FD_FILE;
	default:
		return FD_OTHER;
	}
}

/* What file descriptors 0, 1 and 2 are. */
noinline u32 describe(u32 index, u32 fd)
{
	struct slot *slot = slot_at(index);
	if (!slot || fd > 2)
		return 0;
	struct descriptor *descriptor = &record_in(slot, struct exec_record)->descriptors[fd];
	__builtin_memset(descriptor, 0, sizeof(*descriptor));
	struct file *file = file_of(current_task(), fd);
	if (!file)
		return 0;
	struct inode *inode = READ(file, f_inode);
	u16 mode = READ(inode, i_mode);
	descriptor->type = type_of(mode);
	descriptor->inode = READ(inode, i_ino);
	descriptor->device = READ(inode, i_rdev);
	if (descriptor->type == FD_SOCKET) {
		struct sock *sk = sock_of(file);
		if (sk)
			fill_flow(&descriptor->flow, sk);
	}
	return 0;
}

/* Programs whose hash the reader knows, by their image with a mode of 0. The others may be gone soon: an event of theirs
 * does not wait for more. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct image);
	__type(value, u8);
} known_programs SEC(".maps");

static noinline int known_program(struct image *image)
{
	struct image key = *image;

	key.mode = 0;
	return bpf_map_lookup_elem(&known_programs, &key) != 0;
}

/* Copy `from`..`to` of user memory to the data at `offset`; at most `limit` bytes (a mask). Returns the bytes. */
#define copy_user(slot, offset, from, to, limit, clipped, unread)                                                    \
	({                                                                                                           \
		u64 length_ = (to) - (from);                                                                         \
		if ((to) <= (from))                                                                                  \
			length_ = 0;                                                                                 \
		if (length_ > (limit)) {                                                                             \
			length_ = (limit);                                                                           \
			record->head.flags |= (clipped);                                                             \
		}                                                                                                    \
		u32 bytes_ = length_;                                                                                \
		barrier_var(bytes_);                                                                                 \
		bytes_ &= (limit);                                                                                   \
		if (bpf_probe_read_user(&(slot)->data[(offset) & DATA_MASK], bytes_, (const void *)(from))) {        \
			record->head.flags |= (unread);                                                              \
			bytes_ = 0;                                                                                  \
		}                                                                                                    \
		bytes_;                                                                                              \
	})

/* Kernel prototype: void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm) */
SEC("tp_btf/sched_process_exec")
int on_exec(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct linux_binprm *bprm = (void *)ctx[2];

	u64 cgroup = announce_cgroup(task);
	s32 taken = take_slot(KIND_EXEC);
	if (taken < 0)
		return 0;
	u32 index = taken;
	struct slot *slot = slot_at(index);
	if (!slot)
		return 0;
	struct exec_record *record = record_in(slot, struct exec_record);
	fill_head(&record->head, task, KIND_EXEC, 0);
	fill_ids(&record->ids, task);
	struct task_struct *parent = READ(task, real_parent);
	record->parent_pid = READ(parent, tgid);
	record->parent_start_ns = start_of(parent);
	record->argc = READ(bprm, argc);
	record->cgroup = cgroup;
	fill_comm(record->comm, task);

	struct file *file = READ(bprm, file);
	fill_image(&record->image, READ(file, f_inode));
	describe(index, 0);
	describe(index, 1);
	describe(index, 2);

	u32 walked = write_path(index, as_number(slot, READ(file, f_path.dentry)), as_number(slot, READ(file, f_path.mnt)), 0);
	u32 offset = walked & WALK_BYTES;
	record->executable_bytes = offset;
	if (walked & WALK_CLIPPED)
		record->head.flags |= FLAG_PATH_CLIPPED;
	if (walked & WALK_DELETED)
		record->head.flags |= FLAG_DELETED;

	struct fs_struct *fs = READ(task, fs);
	walked = write_path(index, as_number(slot, READ(fs, pwd.dentry)), as_number(slot, READ(fs, pwd.mnt)), offset);
	record->directory_bytes = walked & WALK_BYTES;
	offset += walked & WALK_BYTES;
	if (walked & WALK_CLIPPED)
		record->head.flags |= FLAG_DIRECTORY_CLIPPED;

	struct mm_struct *mm = READ(task, mm);
	u64 from = READ(mm, arg_start), to = READ(mm, arg_end);
	u32 bytes = copy_user(slot, offset, from, to, ARGUMENTS_LIMIT, FLAG_ARGS_CLIPPED, FLAG_ARGS_UNREAD);
	record->arguments_bytes = bytes;
	offset += bytes;
	bytes = 0;
	if (settings.environment_wanted) {
		from = READ(mm, env_start);
		to = READ(mm, env_end);
		bytes = copy_user(slot, offset, from, to, ENVIRONMENT_LIMIT, FLAG_ENVIRONMENT_CLIPPED, FLAG_ENVIRONMENT_CLIPPED);
	}
	record->environment_bytes = bytes;
	offset += bytes;
	send_slot(slot, struct exec_record, KIND_EXEC, offset, settings.hurry_wanted && !known_program(&record->image));
	return 0;
}

/* Processes whose end was reported just now. Two threads that end at the same time may both find no other alive. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u8);
} ended SEC(".maps");

/* Kernel prototype: void sched_process_exit(struct task_struct *p), since 6.16 with a second argument bool group_dead */
SEC("tp_btf/sched_process_exit")
int on_exit(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct signal_struct *signal = READ(task, signal);

	/* Threads come and go unseen; the process ends with the last of them. */
	if (READ(signal, live.counter) != 0)
		return 0;
	u64 entity = start_of(task) ^ ((u64)READ(task, tgid) << 40);
	u8 one = 1;
	if (READ(signal, nr_threads) > 1) {
		if (bpf_map_update_elem(&ended, &entity, &one, BPF_NOEXIST))
			return 0;
	} else if (bpf_map_lookup_elem(&ended, &entity)) {
		return 0;
	}
	struct exit_record *record = reserve(struct exit_record, KIND_EXIT);
	if (!record)
		return 0;
	fill_head(&record->head, task, KIND_EXIT, sizeof(*record));
	fill_ids(&record->ids, task);
	s32 code = READ(signal, group_exit_code);
	if (!code) {
		struct task_struct *leader = READ(task, group_leader);
		code = READ(leader, exit_code);
	}
	record->exit_code = code;
	record->reserved = 0;
	fill_comm(record->comm, task);
	submit(record, KIND_EXIT);
	return 0;
}
