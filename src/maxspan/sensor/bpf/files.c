/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Probe: watched files are created, opened for writing, renamed, linked, removed.
 *
 * All of it at the end of the system call: then it is known to have worked, and the memory that holds the path was
 * read by the kernel just before. An open file's path comes from its dentry; for the other calls only the text of the
 * path is left, which another thread may change at that moment.
 */
#include "paths.h"

#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000
#define O_ACCMODE 03
#define O_CREAT 0100
#define O_TRUNC 01000
#define AT_FDCWD -100
#define AT_REMOVEDIR 0x200

/* Which argument holds what, in the cookie of the attachment: operation, folder and text of the first path, folder and
 * text of the second; four bits each. */
#define NO_ARGUMENT 0xf
#define field_of(cookie, place) ((u32)((cookie) >> ((place) * 4)) & 0xf)

/* Where the flags of an open are, in its cookie: an argument, a struct open_how behind an argument, or as creat has it. */
enum open_flags {
	OPEN_FLAGS_ARGUMENT = 0,
	OPEN_FLAGS_POINTER = 1,
	OPEN_FLAGS_CREATE = 2,
};

static always_inline u32 truncates(u64 cookie)
{
	u64 flags = O_TRUNC;

	if (field_of(cookie, 0) == OPEN_FLAGS_ARGUMENT)
		flags = argument(field_of(cookie, 1));
	else if (field_of(cookie, 0) == OPEN_FLAGS_POINTER)
		bpf_probe_read_user(&flags, sizeof(flags), (const void *)argument(field_of(cookie, 1)));
	return flags & O_TRUNC;
}

/* Most opens only read: their flags say so, and nothing else has to be looked at. Flags behind a pointer do not count,
 * another thread may have changed them since. */
static always_inline int only_reads(u64 cookie)
{
	return field_of(cookie, 0) == OPEN_FLAGS_ARGUMENT && !(argument(field_of(cookie, 1)) & (O_ACCMODE | O_CREAT));
}

/* open, openat, openat2, creat, open_by_handle_at: the result is the descriptor. */
SEC("tracepoint")
int on_open(struct trace_event_raw_sys_exit *ctx)
{
	if (ctx->ret < 0)
		return 0;
	u64 cookie = bpf_get_attach_cookie(ctx);
	if (only_reads(cookie))
		return 0;
	struct task_struct *task = current_task();
	struct file *file = file_of(task, ctx->ret);
	u32 mode = READ(file, f_mode);
	if (!(mode & (FMODE_WRITE | FMODE_CREATED)))
		return 0;
	struct inode *inode = READ(file, f_inode);
	if ((READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	s32 taken = take_slot(KIND_OPEN);
	if (taken < 0)
		return 0;
	u32 index = taken;
	struct slot *slot = slot_at(index);
	if (!slot)
		return 0;
	u64 dentry = as_number(slot, READ(file, f_path.dentry)), mnt = as_number(slot, READ(file, f_path.mnt));
	u32 count = collect_names(index, dentry, mnt);
	u32 where = follow_names(index, count, 0);
	if (!(where & (WATCHED | UNSURE))) {
		release_slot(slot);
		return 0;
	}
	struct open_record *record = record_in(slot, struct open_record);
	fill_head(&record->head, task, KIND_OPEN, 0);
	fill_ids(&record->ids, task);
	fill_image(&record->image, inode);
	fill_comm(record->comm, task);
	u32 walked = write_path(index, dentry, mnt, 0);
	record->path_bytes = walked & WALK_BYTES;
	record->reserved = 0;
	if (mode & FMODE_CREATED)
		record->head.flags |= FLAG_CREATED;
	else if (truncates(cookie))
		record->head.flags |= FLAG_TRUNCATED;
	if (walked & WALK_CLIPPED)
		record->head.flags |= FLAG_PATH_CLIPPED;
	if (walked & WALK_DELETED)
		record->head.flags |= FLAG_DELETED;
	if (where & UNSURE)
		record->head.flags |= FLAG_UNSURE;
	send_slot(slot, struct open_record, KIND_OPEN, walked & WALK_BYTES, 0);
	return 0;
}

/* The folder that a path is relative to: a descriptor, the working directory, or the root for an absolute text. */
struct folder {
	u64 dentry;
	u64 mnt;
};

static always_inline void find_folder(struct folder *folder, struct slot *slot, struct task_struct *task, s32 descriptor,
				      char first)
{
	struct fs_struct *fs = READ(task, fs);

	folder->dentry = folder->mnt = 0;
	if (first == '/') {
		folder->dentry = as_number(slot, READ(fs, root.dentry));
		folder->mnt = as_number(slot, READ(fs, root.mnt));
	} else if (descriptor == AT_FDCWD) {
		folder->dentry = as_number(slot, READ(fs, pwd.dentry));
		folder->mnt = as_number(slot, READ(fs, pwd.mnt));
	} else {
		struct file *file = file_of(task, descriptor);
		if (file) {
			folder->dentry = as_number(slot, READ(file, f_path.dentry));
			folder->mnt = as_number(slot, READ(file, f_path.mnt));
		}
	}
}

/* Copy the text of a path to the slot's data; returns its bytes with the NUL, 0 when it cannot be read. */
static always_inline u32 take_text(struct slot *slot, u64 text, u32 offset)
{
	long bytes = bpf_probe_read_user_str(&slot->data[offset & DATA_MASK], PATH_LIMIT, (const void *)text);
	return bytes > 0 ? bytes & 0x1fff : 0;
}

/* Where a folder and the text at `offset` lead to, as follow_text has it. A ".." at the beginning is exact, because the
 * folder is a real one: it is taken off the folder's names, unless a changed root would stop it. */
static noinline u32 locate(u32 index, struct folder *folder, u32 offset)
{
	u32 ups = leading_ups(index, offset);

	if (ups) {
		struct slot *slot = slot_at(index);
		struct folder root;
		if (!slot)
			return UNSURE;
		find_folder(&root, slot, current_task(), AT_FDCWD, '/');
		if (collect_names(index, root.dentry, root.mnt))
			ups = 0;
	}
	u32 count = collect_names(index, folder->dentry, folder->mnt);
	return follow_text(index, follow_names(index, count, ups), offset + 3 * ups);
}

static always_inline s32 descriptor_of(u32 place)
{
	return place == NO_ARGUMENT ? AT_FDCWD : (s32)argument(place);
}

/* rename, unlink, link, symlink, mkdir, mknod, truncate and those that end in -at. */
SEC("tracepoint")
int on_path(struct trace_event_raw_sys_exit *ctx)
{
	if (ctx->ret != 0)
		return 0;
	struct task_struct *task = current_task();
	u64 cookie = bpf_get_attach_cookie(ctx);
	u32 operation = field_of(cookie, 0), second_place = field_of(cookie, 4);
	s32 taken = take_slot(KIND_PATH);
	if (taken < 0)
		return 0;
	u32 index = taken;
	struct slot *slot = slot_at(index);
	if (!slot)
		return 0;
	struct path_record *record = record_in(slot, struct path_record);
	struct folder first, second = {};
	u32 first_bytes, second_bytes = 0, where, offset;

	first_bytes = take_text(slot, argument(field_of(cookie, 2)), 0);
	find_folder(&first, slot, task, descriptor_of(field_of(cookie, 1)), slot->data[0]);
	where = UNSURE;
	if (first_bytes)
		where = locate(index, &first, 0);
	if (second_place != NO_ARGUMENT) {
		second_bytes = take_text(slot, argument(second_place), first_bytes);
		find_folder(&second, slot, task, descriptor_of(field_of(cookie, 3)), slot->data[first_bytes & DATA_MASK]);
		if (!second_bytes)
			where = UNSURE;
		else if (where & OUTSIDE)
			where = locate(index, &second, first_bytes);
	}
	if (where & OUTSIDE) {
		release_slot(slot);
		return 0;
	}
	if (operation == OP_UNLINK && field_of(cookie, 1) != NO_ARGUMENT && argument(2) & AT_REMOVEDIR)
		operation = OP_RMDIR;
	fill_head(&record->head, task, KIND_PATH, 0);
	fill_ids(&record->ids, task);
	fill_comm(record->comm, task);
	record->operation = operation;
	record->reserved = 0;
	record->first_text_bytes = first_bytes;
	record->second_text_bytes = second_bytes;
	offset = first_bytes + second_bytes;
	u32 walked = write_path(index, first.dentry, first.mnt, offset);
	record->first_base_bytes = walked & WALK_BYTES;
	offset += walked & WALK_BYTES;
	u32 clipped = walked & WALK_CLIPPED;
	walked = second_place == NO_ARGUMENT ? 0 : write_path(index, second.dentry, second.mnt, offset);
	record->second_base_bytes = walked & WALK_BYTES;
	offset += walked & WALK_BYTES;
	clipped |= walked & WALK_CLIPPED;
	if (clipped || !first_bytes || (second_place != NO_ARGUMENT && !second_bytes))
		record->head.flags |= FLAG_PATH_CLIPPED;
	if (where & UNSURE)
		record->head.flags |= FLAG_UNSURE;
	send_slot(slot, struct path_record, KIND_PATH, offset, 0);
	return 0;
}
