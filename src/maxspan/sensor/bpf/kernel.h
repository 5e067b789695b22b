/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The parts of the kernel's types that the probes read, and the helpers that they call.
 *
 * Every struct carries `preserve_access_index`: the loader replaces each offset by the one of the running kernel
 * (CO-RE), so only names and nesting have to be right here, never order or padding. Where a field was renamed in the
 * course of time, a second struct with a `___suffix` names the other spelling; the loader ignores the suffix.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef u16 be16;
typedef u32 be32;

#define SEC(name) __attribute__((section(name), used))
#define always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define barrier_var(var) asm volatile("" : "+r"(var))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- maps: the declarations that libbpf reads from BTF ------------------------------------------------------- */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };

/* ---- helpers: numbers are the kernel's ABI (include/uapi/linux/bpf.h) ------------------------------------------ */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_probe_read_user)(void *dst, u32 size, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *dst, u32 size, const void *from) = (void *)113;
static long (*bpf_probe_read_user_str)(void *dst, u32 size, const void *from) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *dst, u32 size, const void *from) = (void *)115;
static u64 (*bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*bpf_ringbuf_output)(void *ringbuf, void *data, u64 size, u64 flags) = (void *)130;
static void *(*bpf_ringbuf_reserve)(void *ringbuf, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static u64 (*bpf_ringbuf_query)(void *ringbuf, u64 flags) = (void *)134;
static u64 (*bpf_get_current_task)(void) = (void *)35;
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static u64 (*bpf_get_attach_cookie)(void *ctx) = (void *)174;
static long (*bpf_task_pt_regs)(struct task_struct *task) = (void *)175;

/* ---- CO-RE ------------------------------------------------------------------------------------------------- */
#define FIELD_EXISTS 2
#define ENUMVAL_EXISTS 0
#define ENUMVAL_VALUE 1
#define field_exists(expression) __builtin_preserve_field_info(expression, FIELD_EXISTS)
#define enum_value_exists(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, ENUMVAL_EXISTS)
#define enum_value(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, ENUMVAL_VALUE)

#define TYPE_ID_TARGET 1
#define type_id(pointer) __builtin_btf_type_id(*(typeof(pointer))0, TYPE_ID_TARGET)

/* Since 6.2: tells the verifier what a pointer leads to. */
extern void *bpf_rdonly_cast(const void *object, u32 type) __attribute__((section(".ksyms"), weak));

/* Read one field of a kernel object, zero when it cannot be read: by a plain load where the kernel has the function above
 * (the loader says so, and the verifier leaves the other way out), else through a helper, which takes ten times as long.
 * The verifier knows a pointer that was loaded for one; see `as_number`. */
#define READ(pointer, field)                                                                                         \
	({                                                                                                           \
		typeof((pointer)->field) value_;                                                                      \
		if (settings.plain_loads)                                                                             \
			value_ = ((typeof(pointer))bpf_rdonly_cast(pointer, type_id(pointer)))->field;                \
		else                                                                                                  \
			bpf_probe_read_kernel((void *)&value_, sizeof(value_), __builtin_preserve_access_index(&(pointer)->field));     \
		value_;                                                                                              \
	})
#define READ_INTO(target, pointer, field)                                                                            \
	bpf_probe_read_kernel(target, sizeof(*(target)), __builtin_preserve_access_index(&(pointer)->field))

/* ---- kernel types ---------------------------------------------------------------------------------------------- */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	s32 counter;
} atomic_t;

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	u16 i_mode;
	unsigned long i_ino;
	u32 i_rdev;
	s64 i_size;
	struct super_block *i_sb;
	s64 i_mtime_sec;
	u32 i_mtime_nsec;
	s64 i_ctime_sec;
	u32 i_ctime_nsec;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode___before_6_6 {
	struct timespec64 i_mtime;
	struct timespec64 i_ctime;
};

struct inode___before_6_11 {
	struct timespec64 __i_mtime;
	struct timespec64 __i_ctime;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	u32 f_mode;
	u32 f_flags;
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct tty_driver {
	s32 major;
	s32 minor_start;
};

struct tty_struct {
	s32 index;
	struct tty_driver *driver;
};

struct pid_namespace;

struct upid {
	s32 nr;
};

struct pid {
	u32 level;
	struct upid numbers[1];
};

struct signal_struct {
	atomic_t live;
	s32 nr_threads;
	s32 group_exit_code;
	struct pid *pids[4];
	struct tty_struct *tty;
};

/* 64 bits since 6.3, two times 32 before: the same eight bytes on little-endian machines. */
typedef struct kernel_cap_struct {
	u64 val;
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	u64 id;
};

struct kernfs_node___since_6_14 {
	struct kernfs_node *__parent;
};

struct cgroup {
	s32 level;
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id { pids_cgrp_id = 11 };

struct task_struct {
	s32 pid;
	s32 tgid;
	s32 exit_code;
	u64 start_boottime;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct files_struct *files;
	struct fs_struct *fs;
	struct mm_struct *mm;
	struct cred *cred;
	struct css_set *cgroups;
	char comm[16];
};

struct linux_binprm {
	struct file *file;
	s32 argc;
};

struct in6_addr {
	u8 bytes[16];
};

struct sock_common {
	be32 skc_daddr;
	be32 skc_rcv_saddr;
	be16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	u8 skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
};

struct inet_sock {
	be16 inet_sport;
};

struct tcp_sock {
	u64 bytes_sent;
	u64 bytes_retrans;
	u64 bytes_received;
};

struct socket {
	struct sock *sk;
};

struct module {
	char name[56];
	const char *version;
	const char *srcversion;
	unsigned long taints;
};

struct trace_entry {
	u16 type;
};

struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
};

/* The registers of a task at its entry into the kernel; which spelling exists depends on the machine. */
struct pt_regs {
	unsigned long di, si, dx, r10, r8;
};

struct pt_regs___arm64 {
	u64 regs[31];
	u64 orig_x0;
};

#pragma clang attribute pop
