/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What goes through the ring buffer. `layout.py` says the same in Python; a test compares the two by the BTF of the
 * built object, field by field. Numbers are little-endian; every struct is a multiple of 8 bytes without hidden padding.
 */
#pragma once
#include "kernel.h"

enum kind {
	KIND_FORK = 1,
	KIND_EXEC = 2,
	KIND_EXIT = 3,
	KIND_CGROUP = 4,
	KIND_CONNECT = 5,
	KIND_CONNECTED = 6,
	KIND_ACCEPT = 7,
	KIND_CLOSE = 8,
	KIND_DATAGRAM = 9,
	KIND_OPEN = 10,
	KIND_PATH = 11,
	KIND_MODULE = 12,
	KIND_BPF = 13,
	KIND_IDS = 14,
	KINDS = 16,
};

enum flag {
	FLAG_ARGS_CLIPPED = 1,
	FLAG_ARGS_UNREAD = 2,
	FLAG_PATH_CLIPPED = 4,
	FLAG_DIRECTORY_CLIPPED = 8,
	FLAG_ENVIRONMENT_CLIPPED = 16,
	FLAG_DELETED = 32,
	FLAG_CREATED = 64,
	FLAG_UNSURE = 128,
	FLAG_TRUNCATED = 256,
	FLAG_OWN = 512,
};

#define FLAGS_CLIPPED                                                                                                \
	(FLAG_ARGS_CLIPPED | FLAG_ARGS_UNREAD | FLAG_PATH_CLIPPED | FLAG_DIRECTORY_CLIPPED | FLAG_ENVIRONMENT_CLIPPED)

enum fd_type {
	FD_CLOSED = 0,
	FD_FILE = 1,
	FD_PIPE = 2,
	FD_CHARACTER_DEVICE = 3,
	FD_SOCKET = 4,
	FD_DIRECTORY = 5,
	FD_BLOCK_DEVICE = 6,
	FD_OTHER = 7,
};

/* What a system call on paths did; the order is that of OPERATIONS in layout.py. */
enum operation {
	OP_RENAME = 1,
	OP_UNLINK = 2,
	OP_RMDIR = 3,
	OP_LINK = 4,
	OP_SYMLINK = 5,
	OP_MKDIR = 6,
	OP_MKNOD = 7,
	OP_TRUNCATE = 8,
};

/* Which kind of system call an ids_record stands for. */
enum change {
	CHANGE_UID = 1,
	CHANGE_GID = 2,
	CHANGE_SESSION = 3,
};

enum role {
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

/* Begins every record. `pid` is the thread group, `start_ns` when its leader started (nanoseconds of CLOCK_BOOTTIME):
 * the two name a process beyond reuse of its number. */
struct head {
	u64 time_ns;
	u64 start_ns;
	u32 pid;
	u32 tid;
	u16 kind;
	u16 flags;
	u32 size;
};

struct ids {
	u32 uid;
	u32 euid;
	u32 gid;
	u32 egid;
	u32 session;
	u32 group;
	u32 tty;
	u32 pid_level;
	u64 capabilities_permitted;
	u64 capabilities_effective;
};

/* A socket's two ends, addresses in network order (IPv4 in the first four bytes), ports in host order. */
struct flow {
	u16 family;
	u16 type;
	u16 protocol;
	u16 state;
	u16 local_port;
	u16 remote_port;
	u32 reserved;
	u8 local[16];
	u8 remote[16];
};

struct descriptor {
	u32 type;
	u32 device;
	u64 inode;
	struct flow flow;
};

struct image {
	u64 inode;
	s64 size;
	s64 modified_s;
	s64 changed_s;
	u32 modified_ns;
	u32 changed_ns;
	u32 device;
	u32 mode;
};

struct fork_record {
	struct head head;
	struct ids ids;
	u64 parent_start_ns;
	u32 parent_pid;
	u32 reserved;
	u64 cgroup;
	char comm[16];
};

/* The strings follow in this order: executable and working directory as names from leaf to root, each ended by NUL;
 * arguments and environment as the kernel keeps them. */
struct exec_record {
	struct head head;
	struct ids ids;
	u64 parent_start_ns;
	u32 parent_pid;
	u32 argc;
	u64 cgroup;
	char comm[16];
	struct image image;
	struct descriptor descriptors[3];
	u32 executable_bytes;
	u32 directory_bytes;
	u32 arguments_bytes;
	u32 environment_bytes;
};

struct exit_record {
	struct head head;
	struct ids ids;
	u32 exit_code;
	u32 reserved;
	char comm[16];
};

/* A control group that was not seen before: names from leaf to root follow. */
struct cgroup_record {
	struct head head;
	u64 cgroup;
	u32 path_bytes;
	u32 reserved;
};

/* `head` names the process that owns the connection; for KIND_CLOSE and KIND_CONNECTED that need not be the one that
 * runs. */
struct socket_record {
	struct head head;
	struct ids ids;
	struct flow flow;
	u64 socket;
	u64 bytes_sent;
	u64 bytes_received;
	u32 role;
	u32 established;
	char comm[16];
};

/* A watched file that was created or opened for writing; names from leaf to root follow. */
struct open_record {
	struct head head;
	struct ids ids;
	struct image image;
	u32 path_bytes;
	u32 reserved;
	char comm[16];
};

/* A successful system call on one or two paths. For each: the text that the program gave, and the folder that it is
 * relative to (names from leaf to root). Both texts come first, then both folders. For a symbolic link the first text
 * is what it points to. */
struct path_record {
	struct head head;
	struct ids ids;
	u32 operation;
	u32 reserved;
	u32 first_text_bytes;
	u32 second_text_bytes;
	u32 first_base_bytes;
	u32 second_base_bytes;
	char comm[16];
};

struct module_record {
	struct head head;
	struct ids ids;
	u64 taints;
	char comm[16];
	char name[64];
	char version[32];
	char source_version[32];
};

struct bpf_record {
	struct head head;
	struct ids ids;
	u32 program_type;
	u32 instructions;
	u32 attach_type;
	u32 reserved;
	char comm[16];
	char name[16];
};

/* User, group or session of a process after a system call that may have changed them. */
struct ids_record {
	struct head head;
	struct ids ids;
	u32 change;
	u32 reserved;
	char comm[16];
};

/* Room for each of them; this also brings their types into the object's BTF, for the test. */
union any_record {
	struct fork_record fork;
	struct exec_record exec;
	struct exit_record exit;
	struct cgroup_record cgroup;
	struct socket_record socket;
	struct open_record open;
	struct path_record path;
	struct module_record module;
	struct bpf_record bpf;
	struct ids_record ids;
};

/* What the loader decides before the programs are loaded. */
struct settings {
	/* Thread group whose records carry FLAG_OWN. */
	u32 own_pid;
	u32 environment_wanted;
	/* Hides the kernel's addresses in `socket`. */
	u64 secret;
	/* Each time that so many bytes more wait in the ring, the reader is woken; a power of two. */
	u32 wake_bytes;
	/* A program that is not among `known_programs` wakes the reader at once. */
	u32 hurry_wanted;
	/* The kernel has bpf_rdonly_cast. */
	u32 plain_loads;
	u32 reserved;
};

/* What the reader says while it runs. */
struct reader {
	/* It sleeps until something comes; else it looks by itself a moment later. */
	u32 waits;
	u32 reserved;
};

/* One step in the tree of watched paths: the name below a node. "*" stands for any one name that is not spelled out,
 * also for those that are too long for a key. */
struct watch_key {
	u32 node;
	char name[28];
};

/* One set a CPU and kind: seen = sent + lost, once the probes that run at this moment are through. */
struct counters {
	u64 seen;
	u64 sent;
	u64 lost;
	u64 clipped;
};
