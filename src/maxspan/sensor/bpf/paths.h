/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Paths out of dentries, and the tree of watched paths.
 *
 * A path is written as its names from leaf to root, each ended by NUL: nothing has to be reversed here. The walk
 * crosses mounts up to the root of the mount namespace, so that a container's path is the one that its processes see,
 * and a chroot shows where it really lies.
 */
#pragma once
#include "task.h"

#define WALK_CLIPPED 0x10000
#define WALK_DELETED 0x20000
#define WALK_BYTES 0xffff

/* Tree of watched paths: (node, name) -> next node, WATCHED for the end of a path. The loader fills it and makes sure
 * that a spelled-out name leads to all that "*" leads to. A watched folder stands for everything below it. */
#define WATCH_ROOT 0
#define WATCHED 0x80000000
/* In the number of a node: it has an entry for "*". The root may have one. */
#define HAS_ANY 0x10000000

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct watch_key);
	__type(value, u32);
} watched SEC(".maps");

/* Where a walk from leaf to root is. `root` is that of the mount, read once a mount. */
struct walk {
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct dentry *root;
};

static always_inline void begin_walk(struct walk *walk, u64 dentry, u64 mount)
{
	struct vfsmount *mnt = (struct vfsmount *)mount;

	walk->dentry = (struct dentry *)dentry;
	walk->mnt = mnt;
	walk->root = READ(mnt, mnt_root);
}

/* Cross into the parent mount when the walk is at the root of a mount.
 * Returns 1 when crossed, 2 at the very top, 0 when the dentry has a name of its own. */
static always_inline int cross_mount(struct walk *walk)
{
	struct vfsmount *mnt = walk->mnt;

	if (walk->dentry != walk->root)
		return 0;
	struct mount *mount = (void *)mnt - (u64)__builtin_preserve_access_index(&((struct mount *)0)->mnt);
	struct mount *parent = READ(mount, mnt_parent);
	if (!parent || parent == mount)
		return 2;
	begin_walk(walk, (u64)READ(mount, mnt_mountpoint), (u64)__builtin_preserve_access_index(&parent->mnt));
	return 1;
}

/* Write the names from `dentry` up to the root into the slot's data at `offset`.
 * Returns the number of bytes, with WALK_CLIPPED when names are missing at the top and WALK_DELETED. */
noinline u32 write_path(u32 index, u64 dentry_address, u64 mnt_address, u32 offset)
{
	struct slot *slot = slot_at(index);
	struct walk walk;
	u32 result = WALK_CLIPPED;

	if (!slot || !dentry_address)
		return 0;
	slot->written = 0;
	begin_walk(&walk, dentry_address, mnt_address);
	struct dentry *leaf = walk.dentry;
	u32 deleted = READ(leaf, d_hash.pprev) ? 0 : WALK_DELETED;
	for (u32 i = 0; i < MAX_NAMES; i++) {
		int crossed = cross_mount(&walk);
		if (crossed == 2) {
			result = 0;
			break;
		}
		if (crossed)
			continue;
		if (slot->written > PATH_LIMIT - 256)
			break;
		struct dentry *dentry = walk.dentry, *parent = READ(dentry, d_parent);
		/* The root of a file system has the name "/": it is no part of the path, unless nothing else is. */
		if (parent == dentry && slot->written) {
			result = 0;
			break;
		}
		long bytes = bpf_probe_read_kernel_str(&slot->data[(offset + slot->written) & DATA_MASK], 256,
						       READ(dentry, d_name.name));
		if (bytes < 0)
			break;
		slot->written += bytes & 0x1ff;
		if (parent == dentry) {
			result = 0;
			break;
		}
		walk.dentry = parent;
	}
	return (slot->written & WALK_BYTES) | result | (slot->written ? deleted : 0);
}

/* Collect the dentries from leaf to root in the slot; returns how many, TOO_DEEP when the root was not reached. */
#define TOO_DEEP 0xffff
noinline u32 collect_names(u32 index, u64 dentry_address, u64 mnt_address)
{
	struct slot *slot = slot_at(index);
	struct walk walk;

	if (!slot || !dentry_address)
		return 0;
	slot->name_count = 0;
	begin_walk(&walk, dentry_address, mnt_address);
	for (u32 i = 0; i < MAX_NAMES; i++) {
		int crossed = cross_mount(&walk);
		if (crossed == 2)
			return slot->name_count;
		if (crossed)
			continue;
		struct dentry *dentry = walk.dentry, *parent = READ(dentry, d_parent);
		if (parent == dentry)
			return slot->name_count;
		slot->names[slot->name_count & (MAX_NAMES - 1)] = (u64)dentry;
		slot->name_count++;
		walk.dentry = parent;
	}
	return TOO_DEEP;
}

/* The node behind `slot->key` (a spelled-out name before "*"), or 0 when nothing watched lies there. */
static always_inline u32 next_node(struct slot *slot)
{
	u32 *next = bpf_map_lookup_elem(&watched, &slot->key);
	if (!next && (slot->key.node & HAS_ANY || slot->key.node == WATCH_ROOT)) {
		__builtin_memset(slot->key.name, 0, sizeof(slot->key.name));
		slot->key.name[0] = '*';
		next = bpf_map_lookup_elem(&watched, &slot->key);
	}
	return next ? *next : 0;
}

/* Follow the tree of watched paths along the `count` collected dentries, from the root down, without the last `ups`.
 * Returns WATCHED inside a watched path, OUTSIDE, UNSURE for a path that is too deep, else the inner node that was
 * reached. */
#define OUTSIDE 0x40000000
#define UNSURE 0x20000000
noinline u32 follow_names(u32 index, u32 count, u32 ups)
{
	struct slot *slot = slot_at(index);
	u32 node = WATCH_ROOT;

	if (!slot)
		return OUTSIDE;
	if (count > MAX_NAMES)
		return UNSURE;
	for (u32 i = 0; i < MAX_NAMES; i++) {
		if (i + ups >= count)
			break;
		u32 place = count - 1 - i;
		if (place >= MAX_NAMES)
			break;
		struct dentry *dentry = (struct dentry *)slot->names[place];
		slot->key.node = node;
		__builtin_memset(slot->key.name, 0, sizeof(slot->key.name));
		long bytes = bpf_probe_read_kernel_str(slot->key.name, sizeof(slot->key.name), READ(dentry, d_name.name));
		/* A key that is full may hold the beginning of a longer name. */
		if (bytes == sizeof(slot->key.name) && READ(dentry, d_name.len) >= sizeof(slot->key.name))
			__builtin_memset(slot->key.name, 0, sizeof(slot->key.name));
		node = next_node(slot);
		if (!node)
			return OUTSIDE;
		if (node & WATCHED)
			return WATCHED;
	}
	return node;
}

/* A name is complete in `slot->key`: go on from `node`. Returns the next node, OUTSIDE, WATCHED, or UNSURE at "..". */
noinline u32 follow_name(u32 index, u32 node)
{
	struct slot *slot = slot_at(index);
	if (!slot)
		return OUTSIDE;
	char *name = slot->key.name;
	u32 length = slot->key_length, next = node;

	slot->key_length = 0;
	if (length == 2 && name[0] == '.' && name[1] == '.')
		return UNSURE;
	if (length && !(length == 1 && name[0] == '.')) {
		if (length >= sizeof(slot->key.name))
			__builtin_memset(name, 0, sizeof(slot->key.name));
		slot->key.node = node;
		next = next_node(slot);
		if (!next)
			next = OUTSIDE;
	}
	__builtin_memset(name, 0, sizeof(slot->key.name));
	return next;
}

#define TEXT_LIMIT 256
/* The text at `offset`, after `passed` characters that led outside: only ".." is looked for, which may lead back in.
 * Returns OUTSIDE or UNSURE. */
noinline u32 stay_outside(u32 index, u32 offset, u32 passed)
{
	struct slot *slot = slot_at(index);
	u32 last = '/';

	if (!slot)
		return OUTSIDE;
	for (u32 i = 0; i < TEXT_LIMIT; i++) {
		if (i + passed >= TEXT_LIMIT)
			break;
		u32 c = (u8)slot->data[(offset + passed + i) & DATA_MASK];
		if ((c == '/' || c == 0) && (last & 0xffffff) == ('/' << 16 | '.' << 8 | '.'))
			return UNSURE;
		if (c == 0)
			return OUTSIDE;
		last = last << 8 | c;
	}
	return UNSURE;
}

/* Go on from `node` (as follow_names gives it) along a text such as "a/b", which lies in the slot's data at `offset`
 * and ends by NUL. Returns WATCHED, OUTSIDE, UNSURE when it is too long or holds "..", else the inner node at its end:
 * something above a watched path, which a rename may bring into place. */
noinline u32 follow_text(u32 index, u32 node, u32 offset)
{
	struct slot *slot = slot_at(index);

	if (!slot)
		return OUTSIDE;
	if (node & (WATCHED | UNSURE))
		return node;
	if (node & OUTSIDE)
		return stay_outside(index, offset, 0);
	slot->key_length = 0;
	__builtin_memset(slot->key.name, 0, sizeof(slot->key.name));
	for (u32 i = 0; i < TEXT_LIMIT; i++) {
		char c = slot->data[(offset + i) & DATA_MASK];
		if (c != '/' && c != 0) {
			u32 length = slot->key_length;
			if (length < sizeof(slot->key.name) - 1)
				slot->key.name[length] = c;
			slot->key_length = length + 1;
			continue;
		}
		node = follow_name(index, node);
		if (c == 0 || node & (WATCHED | UNSURE))
			return node;
		if (node & OUTSIDE)
			return stay_outside(index, offset, i + 1);
	}
	return UNSURE;
}

/* How many "../" the text at `offset` begins with. */
#define MAX_UPS 16
noinline u32 leading_ups(u32 index, u32 offset)
{
	struct slot *slot = slot_at(index);

	if (!slot)
		return 0;
	for (u32 i = 0; i < MAX_UPS; i++) {
		char *text = &slot->data[(offset + 3 * i) & DATA_MASK];
		if (text[0] != '.' || text[1] != '.' || text[2] != '/')
			return i;
	}
	return 0;
}
