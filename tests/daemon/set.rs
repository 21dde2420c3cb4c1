//! `--set KEY=VALUE`: every key of the configuration from the command line.

use crate::common::fetchd::{Ended, Fetchd};
use crate::common::origin::Origin;

fn with(args: &[&str], config: &str) -> Ended {
    Fetchd::with(args).env("TOKEN", "s3cr3t").config(config).run("")
}

fn refused(args: &[&str], config: &str, words: &[&str]) {
    let ended = with(args, config);
    assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{args:?} should say `{word}`:\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
}

#[test]
fn a_value_is_toml_where_that_fits_and_else_a_text() {
    for set in [
        "limits.concurrency=7",
        "limits.concurrency=\"adaptive\"",
        "limits.concurrency=adaptive",
        "limits.rate=5/s",
        "limits.rate = '5/s'",
        "retry.on_status=[500, 503]",
        "retry.methods=['GET']",
        "robots.enabled=true",
        "fetch.user_agent=12",
        "fetch.user_agent=a = b",
        "fetch.headers.x-a=1",
        "fetch.headers={ x-a = '1' }",
        "hosts.*.rate=5/s",
        "hosts.\"api.example.com\".headers.authorization=Bearer ${TOKEN}",
        "state.min_free=1GiB",
        "log.format=text",
    ] {
        let ended = with(&["--set", set], "");
        assert_eq!(ended.code, Some(0), "{set}: {}", ended.stderr);
    }
}

#[test]
fn it_stands_over_the_file_and_reaches_the_wire() {
    let origin = Origin::start();
    let config = "[fetch]\nuser_agent = 'file'\nheaders = { x-a = 'file', x-b = 'file' }\n\
                  [hosts.'127.0.0.1']\nrate = '9/s'";
    let header = "hosts.\"127.0.0.1\".headers.authorization=Bearer ${TOKEN}";
    let args = ["--set", "fetch.user_agent=set", "--set", "fetch.headers.x-b=set", "--set", header];
    let ended = Fetchd::with(args).env("TOKEN", "t0ken").config(config).run(origin.url("/echo"));
    let headers = &ended.only_record()["json"]["headers"];
    let got = ["user-agent", "x-a", "x-b", "authorization"].map(|name| headers[name].as_str().unwrap_or_default());
    assert_eq!(got, ["set", "file", "set", "Bearer t0ken"]);
}

#[test]
fn a_key_that_is_given_twice_is_refused() {
    for (args, words) in [
        (&["--set", "limits.rate=5/s", "--rate", "6/s"][..], "`limits.rate` is given by --set and by --rate"),
        (&["--set", "hosts.*.rate=5/s", "--host-rate", "6/s"], "`hosts.*.rate` is given by --set and by --host-rate"),
        (&["--set", "robots.enabled=false", "--robots"], "by --set and by --robots"),
        (&["--set", "output.fail=false", "--fail"], "by --set and by --fail"),
        (&["--set", "log.level=info", "-v"], "by --set and by --verbose"),
        (&["--set", "retry.retries=1", "--set", "retry.retries=1"], "by --set and by --set"),
    ] {
        refused(args, "", &[words, "keep one"]);
    }
    // The file is there to be overridden, also where it is wrong.
    assert_eq!(with(&["--set", "limits.rate=5/s"], "limits.rate = '6/s'").code, Some(0));
    assert_eq!(with(&["--set", "limits.rate=5/s"], "limits.rate = 'fast'").code, Some(0));
}

#[test]
fn a_problem_names_the_key_and_shows_no_secret() {
    for (set, words) in [
        ("limits.rate=fast", "--set limits.rate: "),
        ("limits.concurrency=0", "(`limits.concurrency` comes from --set limits.concurrency)"),
        ("retry.backof=1s", "--set retry.backof: unknown key `backof` in [retry]; did you mean `backoff`?"),
        ("limit.rate=1/s", "--set limit.rate: unknown table `limit`; did you mean `limits`?"),
        ("fetch.proxy=s3cr3t", "(`fetch.proxy` comes from --set fetch.proxy)"),
        ("fetch.headers.authorization=s3cr3t", "would go to every host"),
        ("fetch.headers={ cookie = 's3cr3t' }", "would go to every host"),
        ("hosts.a.headers.x=${NOWHERE}s3cr3t", "needs the environment variable `NOWHERE`"),
        ("hosts.a.client_key=[\"s3cr3t\"]", "--set hosts.a.client_key"),
        ("source.a.file.paths=['x']", "sources and sinks are configured in the file, or with -i and -o"),
        ("sink.a.jsonl.path=x", "sources and sinks are configured in the file"),
        ("s3cr3t", "--set needs a key with its table, and a value"),
        ("rate=5/s", "--set needs a key with its table"),
        ("limits.=5/s", "--set needs a key with its table"),
    ] {
        refused(&["--set", set], "# nothing\n", &[words]);
    }
    // Both are said at once.
    refused(
        &["--set", "limits.rate=fast", "--set", "retry.x=1"],
        "queue.x = 1",
        &["limits.rate", "[retry]", "[queue]"],
    );
}

#[test]
fn an_unknown_flag_that_is_a_key_says_how_it_is_set() {
    for (flag, said) in [
        ("--backoff", "--set retry.backoff=VALUE"),
        ("--retry.max-backoff", "--set retry.max_backoff=VALUE"),
        ("--on-status=500", "--set retry.on_status=VALUE"),
        ("--min-speed", "--set hosts.*.min_speed=VALUE"),
    ] {
        let ended = Fetchd::with([flag]).run("");
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(said), "{flag}: {}", ended.stderr);
    }
    let ended = Fetchd::with(["--nonsense"]).run("");
    assert!(ended.code == Some(2) && !ended.stderr.contains("--set"), "{}", ended.stderr);
}

#[test]
fn robots_txt_is_obeyed_where_the_flag_says_so() {
    let origin = Origin::start();
    origin.script("/robots.txt", crate::common::origin::ok_with("", b"User-agent: *\nDisallow: /ok"));
    let ended = Fetchd::with(["--robots"]).run(origin.url("/ok/1"));
    assert_eq!(ended.only_record()["error"]["kind"], "robots_denied");
}
