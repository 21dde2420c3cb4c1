//! A request that is sent again under its key adds nothing, whenever and however often.

use std::fs;

use super::place::Place;

fn key(name: &str) -> [String; 2] {
    ["-H".to_owned(), format!("Idempotency-Key: {name}")]
}

#[test]
fn the_same_request_under_the_same_key_gets_the_same_answer() {
    let place = Place::new();
    let running = place.start();
    let [flag, header] = key("8e03978e-40d5-43dd-bc93-6894a57f9324");
    let args = [flag.as_str(), &header];
    let first = place.push("a\nb\n", &args);
    assert_eq!(first.lines(), (Some(1), Some(2)));
    let again = place.push("a\nb\n", &args);
    assert_eq!(again.body, first.body);
    let zstd = place.file("z", zstd::encode_all(&b"a\nb\n"[..], 3).unwrap());
    let again = place.push_file(&zstd, &[flag.as_str(), &header, "-H", "Content-Encoding: zstd"]);
    assert_eq!(again.body, first.body, "the coding is not what was sent");
    let other = place.push("a\nc\n", &args);
    assert_eq!((other.status, other.kind()), (422, "key_reused"));
    assert_eq!(place.push("a\nb\n", &[]).lines(), (Some(3), Some(4)), "without a key every request is new");
    running.kill();
    let _running = place.start();
    assert_eq!(place.push("a\nb\n", &args).body, first.body, "also after a restart");
    assert_eq!(place.push("a\nc\n", &args).status, 422);
    assert_eq!(place.accepted(), 4);
}

#[test]
fn requests_that_come_together_under_one_key_are_accepted_once() {
    let place = Place::new();
    let _running = place.start();
    for round in 0..5 {
        let [flag, header] = key(&format!("round-{round}"));
        let answers: Vec<_> = std::thread::scope(|scope| {
            let push = || place.push("a\nb\nc\n", &[&flag, &header]).lines();
            let pushes: Vec<_> = (0..6).map(|_| scope.spawn(push)).collect();
            pushes.into_iter().map(|push| push.join().unwrap()).collect()
        });
        let want = (Some(3 * round + 1), Some(3 * round + 3));
        assert!(answers.iter().all(|answer| *answer == want), "{answers:?}");
    }
}

#[test]
fn keys_outlive_their_lines() {
    // The journal lets go of lines in segments of a quarter of its size.
    let place = Place::with("max_journal = \"8KiB\"");
    let running = place.start();
    let batch = |n: u32| (0..20).map(|line| format!("no url {n} {line}\n")).collect::<String>();
    let push = |n: u32| {
        let [flag, header] = key(&format!("batch-{n}"));
        place.push(&batch(n), &[&flag, &header])
    };
    let mut answers = Vec::new();
    for n in 0..40 {
        let answer = loop {
            let answer = push(n);
            if answer.status != 503 {
                break answer;
            }
        };
        answers.push(answer.body);
        for _ in 0..20 {
            running.record();
        }
    }
    running.kill();
    let held: u64 = fs::read_dir(place.path("state/journal/in"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().ends_with(".lines"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(held < 12 << 10, "lines that are done are gone: {held} bytes are left");
    let _running = place.start();
    for (n, answer) in (0..40).zip(&answers) {
        assert_eq!(push(n).body, *answer);
    }
    assert_eq!(place.accepted(), 800);
}

#[test]
fn what_is_no_key_is_refused() {
    let place = Place::new();
    let _running = place.start();
    for header in ["Idempotency-Key: two words", "Idempotency-Key;", &format!("Idempotency-Key: {}", "k".repeat(256))] {
        let answer = place.push("a\n", &["-H", header]);
        assert_eq!((answer.status, answer.kind()), (400, "invalid_key"), "{header}");
    }
    assert_eq!(place.accepted(), 0);
}
