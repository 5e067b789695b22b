/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a task is: its head, ids and open files, read from task_struct.
 */
#pragma once
#include "scratch.h"

/* enum pid_type of include/linux/pid_types.h */
#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_CLOSE 7

static always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static always_inline u64 start_of(struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	return READ(leader, start_boottime);
}

static always_inline void fill_head(struct head *head, struct task_struct *task, u16 kind, u32 size)
{
	head->time_ns = bpf_ktime_get_boot_ns();
	head->start_ns = start_of(task);
	head->pid = READ(task, tgid);
	head->tid = READ(task, pid);
	head->kind = kind;
	head->flags = head->pid == settings.own_pid ? FLAG_OWN : 0;
	head->size = size;
}

static always_inline u32 pid_number(struct signal_struct *signal, u32 type)
{
	struct pid *pid = READ(signal, pids[type]);
	return pid ? READ(pid, numbers[0].nr) : 0;
}

/* Major number in the upper bits as the kernel's MKDEV does (20 bits of minor); 0 without a controlling terminal. */
static always_inline u32 tty_of(struct signal_struct *signal)
{
	struct tty_struct *tty = READ(signal, tty);
	if (!tty)
		return 0;
	struct tty_driver *driver = READ(tty, driver);
	return (READ(driver, major) << 20) | ((READ(driver, minor_start) + READ(tty, index)) & 0xfffff);
}

static noinline void fill_ids(struct ids *ids, struct task_struct *task)
{
	struct cred *cred = READ(task, cred);
	struct signal_struct *signal = READ(task, signal);
	struct pid *pid = READ(task, thread_pid);
	ids->uid = READ(cred, uid.val);
	ids->euid = READ(cred, euid.val);
	ids->gid = READ(cred, gid.val);
	ids->egid = READ(cred, egid.val);
	ids->capabilities_permitted = READ(cred, cap_permitted).val;
	ids->capabilities_effective = READ(cred, cap_effective).val;
	ids->session = pid_number(signal, PIDTYPE_SID);
	ids->group = pid_number(signal, PIDTYPE_PGID);
	ids->tty = tty_of(signal);
	ids->pid_level = READ(pid, level);
}

static always_inline void fill_comm(char *comm, struct task_struct *task)
{
	bpf_probe_read_kernel(comm, 16, __builtin_preserve_access_index(&task->comm));
}

static noinline struct file *file_of(struct task_struct *task, u32 fd)
{
	struct files_struct *files = READ(task, files);
	struct fdtable *table = READ(files, fdt);
	struct file **array = READ(table, fd);
	struct file *file = 0;
	if (fd < READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), array + fd);
	return file;
}

static noinline void fill_flow(struct flow *flow, struct sock *sk)
{
	flow->family = READ(sk, __sk_common.skc_family);
	flow->type = READ(sk, sk_type);
	flow->protocol = READ(sk, sk_protocol);
	flow->state = READ(sk, __sk_common.skc_state);
	flow->reserved = 0;
	__builtin_memset(flow->local, 0, sizeof(flow->local));
	__builtin_memset(flow->remote, 0, sizeof(flow->remote));
	if (flow->family == AF_INET) {
		READ_INTO((be32 *)flow->local, sk, __sk_common.skc_rcv_saddr);
		READ_INTO((be32 *)flow->remote, sk, __sk_common.skc_daddr);
	} else if (flow->family == AF_INET6) {
		READ_INTO(&flow->local, sk, __sk_common.skc_v6_rcv_saddr);
		READ_INTO(&flow->remote, sk, __sk_common.skc_v6_daddr);
	} else {
		flow->local_port = flow->remote_port = 0;
		return;
	}
	/* The number goes when the socket leaves the table of ports, the port stays. */
	flow->local_port = READ(sk, __sk_common.skc_num);
	if (!flow->local_port)
		flow->local_port = __builtin_bswap16(READ((struct inet_sock *)sk, inet_sport));
	flow->remote_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
}

/* Argument `index` (0-4) of the system call that the current task is in. The registers still hold them at its end. */
static noinline u64 argument(u32 index)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	if (field_exists(regs->r10)) {
		/* The type is known to the verifier: plain loads, which cost less than a helper. */
		switch (index) {
		case 0:
			return regs->di;
		case 1:
			return regs->si;
		case 2:
			return regs->dx;
		case 3:
			return regs->r10;
		default:
			return regs->r8;
		}
	}
	struct pt_regs___arm64 *other = (void *)regs;
	switch (index) {
	case 0:
		return READ(other, orig_x0);
	case 1:
		return READ(other, regs[1]);
	case 2:
		return READ(other, regs[2]);
	case 3:
		return READ(other, regs[3]);
	default:
		return READ(other, regs[4]);
	}
}

/* The file itself at the time of the event. */
static noinline void fill_image(struct image *image, struct inode *inode)
{
	struct super_block *sb = READ(inode, i_sb);

	image->inode = READ(inode, i_ino);
	image->size = READ(inode, i_size);
	image->device = READ(sb, s_dev);
	image->mode = READ(inode, i_mode);
	if (field_exists(inode->i_mtime_sec)) {
		image->modified_s = READ(inode, i_mtime_sec);
		image->modified_ns = READ(inode, i_mtime_nsec);
		image->changed_s = READ(inode, i_ctime_sec);
		/* Since 6.13 the top bit says that somebody asked for the time. */
		image->changed_ns = READ(inode, i_ctime_nsec) & 0x7fffffff;
		return;
	}
	struct inode___before_6_6 *old = (void *)inode;
	struct inode___before_6_11 *newer = (void *)inode;
	if (field_exists(old->i_mtime)) {
		image->modified_s = READ(old, i_mtime.tv_sec);
		image->modified_ns = READ(old, i_mtime.tv_nsec);
	} else {
		image->modified_s = READ(newer, __i_mtime.tv_sec);
		image->modified_ns = READ(newer, __i_mtime.tv_nsec);
	}
	if (field_exists(old->i_ctime)) {
		image->changed_s = READ(old, i_ctime.tv_sec);
		image->changed_ns = READ(old, i_ctime.tv_nsec);
	} else {
		image->changed_s = READ(newer, __i_ctime.tv_sec);
		image->changed_ns = READ(newer, __i_ctime.tv_nsec);
	}
}

/* The socket behind a file, or null. */
static always_inline struct sock *sock_of(struct file *file)
{
	struct inode *inode = READ(file, f_inode);
	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	struct socket *socket = READ(file, private_data);
	struct sock *sk = 0;
	/* A plain number, as a key and for the secret. */
	READ_INTO(&sk, socket, sk);
	return sk;
}

struct cgroup_place {
	struct kernfs_node *node;
	u64 id;
};

/* The control group that names the container: the unified hierarchy, or that of `pids` where it is not used. Ids count
 * from 1 in each hierarchy: the top bit marks those of `pids`. */
static always_inline void find_cgroup(struct cgroup_place *place, struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *cgroup = READ(set, dfl_cgrp);
	u64 mark = 0;
	if (READ(cgroup, level) == 0 && enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		u32 index = enum_value(enum cgroup_subsys_id, pids_cgrp_id);
		struct cgroup_subsys_state **first = __builtin_preserve_access_index(&set->subsys[0]);
		struct cgroup_subsys_state *state = 0;
		bpf_probe_read_kernel(&state, sizeof(state), first + index);
		struct cgroup *other = READ(state, cgroup);
		if (other && READ(other, level) > 0) {
			cgroup = other;
			mark = 1ull << 63;
		}
	}
	struct kernfs_node *node = READ(cgroup, kn);
	place->node = node;
	place->id = READ(node, id) | mark;
}
