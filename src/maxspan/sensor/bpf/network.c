/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Probe: TCP connections are tried, stand, are accepted, end; UDP sockets get a peer. In every network namespace.
 */
#include "task.h"

#define IPPROTO_TCP 6
/* enum sock_flags: the other side said that it is done. */
#define SOCK_DONE 1

/* Whose connection it is: later changes of state happen in whatever task handles the packet. */
struct owner {
	u64 start_ns;
	u32 pid;
	u32 tid;
	u32 role;
	u32 established;
	struct ids ids;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct owner);
} owners SEC(".maps");

static always_inline void fill_owner(struct owner *owner, struct task_struct *task, u32 role)
{
	owner->start_ns = start_of(task);
	owner->pid = READ(task, tgid);
	owner->tid = READ(task, pid);
	owner->role = role;
	owner->established = role == ROLE_SERVER;
	fill_ids(&owner->ids, task);
	fill_comm(owner->comm, task);
}

static noinline int send_socket(u16 kind, struct owner *owner, struct sock *sk, u32 state)
{
	struct socket_record *record = reserve(struct socket_record, kind);
	if (!record)
		return 0;
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	record->head.time_ns = bpf_ktime_get_boot_ns();
	record->head.start_ns = owner->start_ns;
	record->head.pid = owner->pid;
	record->head.tid = owner->tid;
	record->head.kind = kind;
	record->head.flags = owner->pid == settings.own_pid ? FLAG_OWN : 0;
	record->head.size = sizeof(*record);
	record->ids = owner->ids;
	fill_flow(&record->flow, sk);
	record->flow.state = state;
	record->socket = (u64)sk ^ settings.secret;
	record->bytes_sent = 0;
	record->bytes_received = 0;
	if (kind == KIND_CLOSE) {
		record->bytes_sent = READ(tcp, bytes_sent) - READ(tcp, bytes_retrans);
		/* The end of the stream counts as a byte. */
		record->bytes_received = READ(tcp, bytes_received);
		if (record->bytes_received && READ(sk, __sk_common.skc_flags) & (1 << SOCK_DONE))
			record->bytes_received -= 1;
	}
	record->role = owner->role;
	record->established = owner->established;
	__builtin_memcpy(record->comm, owner->comm, sizeof(record->comm));
	submit(record, kind);
	return 0;
}

/* Kernel prototype: void inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate) */
SEC("tp_btf/inet_sock_set_state")
int on_state(u64 *ctx)
{
	s32 state = ctx[2];
	u64 key = 0;

	if (state != TCP_SYN_SENT && state != TCP_ESTABLISHED && state != TCP_CLOSE)
		return 0;
	/* Read as a plain number: the verifier does not let a typed pointer be hidden by the secret. */
	bpf_probe_read_kernel(&key, sizeof(key), ctx);
	struct sock *sk = (struct sock *)key;
	if (READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (state == TCP_SYN_SENT) {
		struct owner owner = {};
		fill_owner(&owner, current_task(), ROLE_CLIENT);
		bpf_map_update_elem(&owners, &key, &owner, BPF_ANY);
		send_socket(KIND_CONNECT, &owner, sk, state);
		return 0;
	}
	struct owner *owner = bpf_map_lookup_elem(&owners, &key);
	if (!owner)
		return 0;
	if (state == TCP_ESTABLISHED) {
		if (owner->established)
			return 0;
		owner->established = 1;
		send_socket(KIND_CONNECTED, owner, sk, state);
		return 0;
	}
	send_socket(KIND_CLOSE, owner, sk, state);
	bpf_map_delete_elem(&owners, &key);
	return 0;
}

/* accept(fd, ...) and accept4(fd, ...): the result is the new descriptor. */
SEC("tracepoint")
int on_accept(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = current_task();
	struct owner owner = {};

	if (ctx->ret < 0)
		return 0;
	struct file *file = file_of(task, ctx->ret);
	struct sock *sk = file ? sock_of(file) : 0;
	if (!sk)
		return 0;
	u16 family = READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	u64 key = (u64)sk;
	fill_owner(&owner, task, ROLE_SERVER);
	u32 state = READ(sk, __sk_common.skc_state);
	send_socket(KIND_ACCEPT, &owner, sk, state);
	if (state != TCP_CLOSE)
		bpf_map_update_elem(&owners, &key, &owner, BPF_ANY);
	return 0;
}

/* connect(fd, ...) on a datagram socket; getaddrinfo connects to port 0 to learn which address it would use. */
SEC("tracepoint")
int on_connect(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = current_task();
	struct owner owner = {};

	if (ctx->ret != 0)
		return 0;
	struct file *file = file_of(task, argument(0));
	struct sock *sk = file ? sock_of(file) : 0;
	if (!sk || READ(sk, sk_type) != SOCK_DGRAM)
		return 0;
	u16 family = READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) || READ(sk, __sk_common.skc_dport) == 0)
		return 0;
	fill_owner(&owner, task, ROLE_CLIENT);
	owner.established = 1;
	send_socket(KIND_DATAGRAM, &owner, sk, TCP_ESTABLISHED);
	return 0;
}
