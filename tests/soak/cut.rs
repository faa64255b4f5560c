//! A client whose connection is cut.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};

use mesh_tests::setting;

use crate::plan::Cut;

/// Sends a request up to the cut. The server may accept the task all the same.
pub(crate) fn send(cut: Cut, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<()> {
    let url = setting("AI_MESH_URL");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let (host, prefix) = address.split_at(address.find('/').unwrap_or(address.len()));
    let mut request = format!("POST {prefix}{path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let sent = match cut {
        Cut::InRequest => request.len() - body.len() / 2,
        Cut::BeforeAnswer => request.len(),
    };
    let mut stream = TcpStream::connect(host)?;
    stream.write_all(&request.as_bytes()[..sent])?;
    stream.shutdown(Shutdown::Both)
}
