//! The journal of a source `http` on a disk that is full: requests are refused as a whole, and accepted when there is room.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::common::PATIENCE;
use crate::common::fetchd::Fetchd;
use crate::small_disk::{PAGE, SmallDisk, with_a_small_disk};

/// What a request is answered.
fn push(socket: &Path, key: &str, lines: &str) -> (String, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST /v1/lines HTTP/1.1\r\nhost: fetchd\r\nconnection: close\r\nidempotency-key: {key}");
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{lines}", lines.len()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), serde_json::from_str(body).unwrap())
}

/// How the lack of room shows.
#[derive(Clone, Copy, Debug)]
enum Full {
    /// Before a batch is written.
    Before,
    /// When a part of it is written.
    Amid,
}

impl Full {
    fn free(self) -> u64 {
        match self {
            Self::Before => 0,
            Self::Amid => PAGE,
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::Before => "state.min_free is 1 B",
            Self::Amid => "there is no room for the journal",
        }
    }
}

/// A line that is no URL, of so many bytes with its LF.
fn line(bytes: u64) -> String {
    format!("no url {}\n", "x".repeat(usize::try_from(bytes).unwrap() - 8))
}

fn refuses(disk: &SmallDisk, full: Full) {
    let own = tempfile::tempdir().unwrap();
    let (socket, state) = (own.path().join("in.sock"), disk.path().join("state"));
    let config = format!(
        "[source.in.http]\nsocket = {socket:?}\n[state]\ndata_dir = {state:?}\nmin_free = \"1\"\n[sink.all.stdout]\n"
    );
    let fetchd = Fetchd::local().config(&config).start();
    fetchd.message("listening for lines at");
    let first = push(&socket, "1", &line(10));
    assert_eq!((first.0.as_str(), &first.1["last"]), ("202", &Value::from(1)));
    // The second batch fills a page to its end; its head has a longer number of bytes.
    let length = || std::fs::metadata(state.join("journal/in/00000000000000000001.lines")).unwrap().len();
    let head = length() - 10 + 2;
    assert_eq!(push(&socket, "2", &line(PAGE - length() - head)).0, "202");
    assert_eq!(length(), PAGE);
    (0..2).for_each(|_| drop(fetchd.record()));
    disk.fill_but(full.free());
    // But for its head it would have room in the last page.
    let lines = line(PAGE - 1);
    for _ in 0..2 {
        let (status, body) = push(&socket, "3", &lines);
        assert_eq!((status.as_str(), &body["error"]["kind"]), ("503", &Value::from("full")), "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(full.says()), "{full:?}: {body}");
        assert_eq!(push(&socket, "1", &line(10)), first, "what is known needs no room");
    }
    disk.empty();
    let accepted = push(&socket, "3", &lines);
    assert_eq!((accepted.0.as_str(), &accepted.1["first"]), ("202", &Value::from(3)));
    fetchd.kill();
    let fetchd = Fetchd::local().config(&config).start();
    fetchd.message("listening for lines at");
    assert_eq!(push(&socket, "3", &lines), accepted);
    assert_eq!(push(&socket, "4", &line(10)).1["first"], 4);
}

#[test]
fn a_request_for_which_a_full_disk_has_no_room_is_refused_as_a_whole_until_it_has() {
    with_a_small_disk(
        "pushed::a_request_for_which_a_full_disk_has_no_room_is_refused_as_a_whole_until_it_has",
        |disk| {
            for full in [Full::Before, Full::Amid] {
                refuses(disk, full);
                std::fs::remove_dir_all(disk.path().join("state")).unwrap();
            }
        },
    );
}
