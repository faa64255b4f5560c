//! The event stream behind an address of its own that streams, for a browser: what a function's address is on AWS. Each
//! request is answered by a bootstrap of its own, at once and piece by piece.
//!
//! It prints lines of JSON: the address, then each request that comes and each answer that ends. It goes on until its
//! input is closed: whoever started it can't leave it behind.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;
use mesh_tests::{Streamed, Streaming};
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
    say(&json!({ "address": format!("http://{}/", listener.local_addr()?) }));
    thread::spawn(move || {
        for (number, connection) in (1..).zip(listener.incoming()) {
            let (artifacts, time) = (args.artifacts.clone(), Duration::from_secs(args.seconds));
            thread::spawn(move || {
                let is_whole = connection.and_then(|connection| answer(number, &connection, artifacts, time));
                say(&json!({ "ended": number, "whole": is_whole.is_ok() }));
            });
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn say(line: &Value) {
    println!("{line}");
}

/// Answers a connection's one request. An error says that the client has left before the end.
fn answer(number: u32, mut connection: &TcpStream, artifacts: PathBuf, time: Duration) -> io::Result<()> {
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
    let told: Value = headers.iter().cloned().collect();
    say(&json!({ "asked": number, "method": method, "path": path, "headers": told }));

    let asked = Streaming {
        method,
        path,
        headers,
        time,
        artifacts,
        environment: Vec::new(),
    };
    let mut streamed = asked.start();
    let first = streamed.piece();
    connection.write_all(head(&streamed).as_bytes())?;
    let mut next = first;
    while let Some(piece) = next {
        // In one write: what is held back for more is no increment.
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend(piece);
        chunk.extend(b"\r\n");
        connection.write_all(&chunk)?;
        next = streamed.piece();
    }
    connection.write_all(b"0\r\n\r\n")
}

/// The answer's head as HTTP has it.
fn head(streamed: &Streamed) -> String {
    // As Lambda's own answer when a function ends without one.
    let status = streamed.head["statusCode"].as_u64().unwrap_or(502);
    let mut head = format!("HTTP/1.1 {status} \r\nconnection: close\r\ntransfer-encoding: chunked\r\n");
    for (name, value) in streamed.head["headers"].as_object().into_iter().flatten() {
        if name != "content-length" {
            head += &format!("{name}: {}\r\n", value.as_str().unwrap_or_default());
        }
    }
    head + "\r\n"
}
