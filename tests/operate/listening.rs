//! Where the API listens, and who gets there.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::common::fetchd::Fetchd;
use crate::place::Place;

fn mode(path: &std::path::Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_socket_is_for_its_user_alone() {
    let place = Place::new();
    let mut running = place.start();
    assert_eq!((mode(&place.socket()), mode(&place.path("api"))), (0o600, 0o700));
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn a_run_without_the_table_has_no_api() {
    let place = Place::new();
    let ended = Fetchd::local().run("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("operators") && !place.socket().exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_second_daemon_is_refused() {
    let place = Place::new();
    let running = place.start();
    running.kill();
    assert!(place.socket().exists(), "a killed process leaves it");
    let mut running = place.start();
    assert_eq!(place.get("/healthz").status, 200);
    let second = place.fetchd().run("");
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("another process listens at"), "{}", second.stderr);
    assert_eq!(place.get("/healthz").status, 200, "the first one is as before");
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn what_cannot_be_listened_at_ends_the_start_with_what_to_do() {
    let place = Place::new();
    let open = place.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    fs::write(place.path("file"), "").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("metrics_listen = '{}'", taken.local_addr().unwrap());
    let at = |path: &str| format!("socket = {:?}", place.path(path));
    for (api, part) in [
        (at("no/such/api.sock"), "does not exist; create it"),
        (at("open/api.sock"), "chmod 700"),
        (at("file/api.sock"), "is not a directory"),
        (format!("socket = '/tmp/{}'", "s".repeat(110)), "can have 107 bytes"),
        (format!("{}\nsocket_group = 'no-such-group-'", at("new/api.sock")), "there is no group"),
        ("metrics_listen = '0.0.0.0:0'".to_owned(), "other machines can reach"),
        (taken, "give it a port that is free"),
    ] {
        let ended = Fetchd::local().config(&format!("[api]\n{api}\n")).run("");
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{api}: {}", ended.stderr);
    }
}

#[test]
fn the_port_for_metrics_has_no_names_and_no_verbs() {
    let place = Place::new();
    let mut running = Fetchd::local().config("[api]\nmetrics_listen = '127.0.0.1:0'\n").start();
    let said = running.message("metrics are at");
    let (_, url) = said.split_once("http://").unwrap();
    let address: String = url.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let get = |path: &str, method: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert!([200, 503].contains(&get(path, "GET")), "{path}");
    }
    for (path, method) in [("/v1/status", "GET"), ("/v1/config", "GET"), ("/v1/records", "GET"), ("/v1/drain", "POST")]
    {
        assert_eq!(get(path, method), 404, "{path}");
    }
    drop(place);
    assert_eq!(running.finish("").code, Some(0));
}

#[test]
fn the_configuration_of_an_api_is_checked_as_all_others_are() {
    for (api, part) in [
        ("sockets = 'a'", "did you mean `socket`?"),
        ("socket_group = 'ops'", "there is no `socket`"),
        ("socket = ''", "is not the path of a file"),
        ("metrics_listen = 9180", "write text in quotes"),
    ] {
        let ended = Fetchd::local().config(&format!("[api]\n{api}\n")).run("");
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{api}: {}", ended.stderr);
    }
}
