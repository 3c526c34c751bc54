# Stand-ins for what sepolicy/*.te takes from the platform's policy: just enough that the compiler
# can check our own rules against our own neverallows. Not a policy for any device.
class process class process2 class file class dir class sock_file class chr_file class blk_file class fd class capability
class tcp_socket class udp_socket class rawip_socket class icmp_socket class sctp_socket class packet_socket
class vsock_socket class bluetooth_socket class netlink_route_socket class netlink_generic_socket
class unix_stream_socket class unix_dgram_socket class binder class security
sid kernel
sid security
sid unlabeled
sid file
common file { ioctl read write create getattr setattr lock append map unlink link rename execute open }
common socket { read write create getattr setattr append bind connect listen accept getopt setopt shutdown }
class process { fork transition dyntransition sigchld sigkill signal ptrace noatsecure siginh rlimitinh }
class process2 { nnp_transition nosuid_transition }
class file inherits file { execute_no_trans entrypoint }
class dir inherits file { add_name remove_name search rmdir }
class sock_file inherits file
class chr_file inherits file
class blk_file inherits file
class fd { use }
class capability { chown dac_override kill setgid setuid net_admin net_raw sys_ptrace sys_admin block_suspend }
class tcp_socket inherits socket
class udp_socket inherits socket
class rawip_socket inherits socket
class icmp_socket inherits socket
class sctp_socket inherits socket
class packet_socket inherits socket
class vsock_socket inherits socket
class bluetooth_socket inherits socket
class netlink_route_socket inherits socket { nlmsg_read }
class netlink_generic_socket inherits socket
class unix_stream_socket inherits socket { connectto }
class unix_dgram_socket inherits socket { sendto }
class binder { call transfer }
class security { compute_av }

attribute domain;
attribute coredomain;
attribute appdomain;
attribute netdomain;
attribute file_type;
attribute exec_type;
attribute system_file_type;
attribute data_file_type;
attribute core_data_file_type;
attribute coredomain_socket;

type kernel, domain;
type init, domain, coredomain;
type su, domain;
type netd, domain, coredomain;
type crash_dump, domain, coredomain;
type llkd, domain, coredomain;
type untrusted_app, domain, appdomain;
type radio, domain, coredomain, appdomain;
type system_data_file, file_type, data_file_type, core_data_file_type;
type tmpfs, file_type;
type unlabeled, file_type;

define(`domain_auto_trans', `
type_transition $1 $2:process $3;
allow $1 $2:file { read open getattr map execute };
allow $1 $3:process { transition siginh rlimitinh };
dontaudit $1 $3:process noatsecure;
allow $3 $2:file { read open getattr map execute entrypoint };
allow $3 $1:process sigchld;
')
define(`init_daemon_domain', `
domain_auto_trans(init, $1_exec, $1)
type $1_tmpfs, file_type;
type_transition $1 tmpfs:file $1_tmpfs;
allow $1 $1_tmpfs:file { read write getattr map };
')
define(`net_domain', `typeattribute $1 netdomain;')

# What every process and every network process may.
allow domain self:process { fork sigchld signal };
allow domain self:fd use;
allow domain self:{ unix_stream_socket unix_dgram_socket } { create read write getattr setattr bind connect listen accept getopt setopt shutdown };
allow domain self:unix_stream_socket connectto;
allow domain su:binder { call transfer };
allow netdomain self:{ tcp_socket udp_socket icmp_socket } { create read write getattr setattr bind connect getopt setopt shutdown };
allow netdomain self:netlink_route_socket { create read write getattr bind nlmsg_read };
allow netdomain netd:unix_stream_socket connectto;
allow init shuntd_data_file:dir { create setattr search getattr };
allow crash_dump { domain -crash_dump -init -kernel -llkd }:process ptrace;
