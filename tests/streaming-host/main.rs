//! An HTTP server for the event stream that streams its responses to a browser, as a function's URL on AWS does. Each
//! request starts a bootstrap of its own, and each chunk is forwarded as it arrives.
//!
//! It prints lines of JSON: its address, then each request that comes and each response that ends. It runs until its
//! standard input is closed, so it never outlives the process that started it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;
use mesh_tests::{StreamRequest, StreamResponse};
use serde_json::{Value, json};

#[derive(Debug, Parser)]
struct Args {
    /// The folder with the functions' artifacts
    #[arg(long)]
    artifacts: PathBuf,
    /// The function's timeout
    #[arg(long)]
    seconds: u64,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    print_line(&json!({ "address": format!("http://{}/", listener.local_addr()?) }));
    thread::spawn(move || {
        for (number, connection) in (1..).zip(listener.incoming()) {
            let (artifacts, timeout) = (args.artifacts.clone(), Duration::from_secs(args.seconds));
            thread::spawn(move || {
                let served = connection.and_then(|connection| serve(number, &connection, artifacts, timeout));
                print_line(&json!({ "ended": number, "whole": served.is_ok() }));
            });
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn print_line(line: &Value) {
    println!("{line}");
}

/// Serves a connection's one request. An error says that the client left before the end of the response.
fn serve(number: u32, mut connection: &TcpStream, artifacts: PathBuf, timeout: Duration) -> io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let mut line = || {
        lines
            .next()
            .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let printed: Value = headers.iter().cloned().collect();
    print_line(&json!({ "received": number, "method": method, "path": path, "headers": printed }));

    let request = StreamRequest {
        method,
        path,
        headers,
        timeout,
        artifacts,
        environment: Vec::new(),
    };
    let mut response = request.start();
    let mut next = response.next_chunk();
    connection.write_all(head(&response).as_bytes())?;
    while let Some(chunk) = next {
        // In one write, so that the browser receives each chunk as it arrived.
        let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
        connection.write_all(&bytes)?;
        next = response.next_chunk();
    }
    connection.write_all(b"0\r\n\r\n")
}

/// The response's status line and headers in HTTP.
fn head(response: &StreamResponse) -> String {
    // Lambda answers 502 when a function ends without a response.
    let status = response.head["statusCode"].as_u64().unwrap_or(502);
    let mut head = format!("HTTP/1.1 {status} \r\nconnection: close\r\ntransfer-encoding: chunked\r\n");
    for (name, value) in response.head["headers"].as_object().into_iter().flatten() {
        if name != "content-length" {
            head += &format!("{name}: {}\r\n", value.as_str().unwrap_or_default());
        }
    }
    head + "\r\n"
}
