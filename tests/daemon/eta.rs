//! When a run ends, as the progress line says it while it goes on.

use tokio::time::Instant;

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;

/// A statement of the progress line, and what was the case.
#[derive(Debug)]
struct Said {
    /// Seconds.
    left: f64,
    is_bound: bool,
    truth: f64,
    /// The share of the run that was over.
    over: f64,
}

/// What is said of a run over this list in a file.
fn said(config: &str, list: &str) -> Vec<Said> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("urls.txt");
    std::fs::write(&path, list).unwrap();
    let fetchd = Fetchd::with(["--progress", "always", "-i", path.to_str().unwrap()]).config(config);
    let (start, mut fetchd) = (Instant::now(), fetchd.start());
    let mut said = Vec::new();
    let end = loop {
        let (line, at) = (fetchd.message(""), start.elapsed().as_secs_f64());
        if line.contains("run finished") {
            break at;
        }
        said.extend(line.split(" · ").find_map(|part| Some((at, part.strip_suffix(" left")?.to_owned()))));
    };
    assert_eq!(fetchd.wait().code, Some(0));
    let said = said.into_iter().map(|(at, text)| {
        let bound = text.strip_prefix("at least ");
        let text = bound.unwrap_or(&text);
        Said {
            left: if text == "under 1 s" { 0.5 } else { seconds(text) },
            is_bound: bound.is_some(),
            truth: end - at,
            over: at / end,
        }
    });
    said.collect()
}

/// What `human` wrote.
fn seconds(text: &str) -> f64 {
    let words: Vec<&str> = text.split(' ').collect();
    let unit = |unit: &str| match unit {
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        unit => panic!("a unit of time, and not {unit}"),
    };
    words.chunks(2).map(|pair| pair[0].parse::<f64>().unwrap() * unit(pair[1])).sum()
}

fn lines(origin: &Origin, count: usize) -> Vec<String> {
    (0..count).map(|n| origin.url(&format!("/ok/{n}")) + "\n").collect()
}

#[test]
fn the_end_of_a_run_is_said_in_time_for_a_mixed_list_and_for_one_of_a_single_host() {
    let (paced, quick) = (Origin::start_at([127, 0, 0, 2]), Origin::start_at([127, 0, 0, 3]));
    let config = "queue.window = 24\nhosts.'127.0.0.2'.rate = '10/s'\n";
    let mixed: String = lines(&paced, 60).into_iter().zip(lines(&quick, 60)).map(|(one, other)| one + &other).collect();
    for list in [mixed, lines(&paced, 60).concat()] {
        let said = said(config, &list);
        let late: Vec<_> = said.iter().filter(|said| said.over > 0.33).collect();
        assert!(late.len() >= 3, "{said:#?}");
        for said in late {
            let off = (said.left - said.truth).abs();
            assert!(!said.is_bound && off <= 0.25 * said.truth + 1.0, "{said:?}");
        }
    }
}

#[test]
fn for_a_sorted_list_a_lower_bound_is_said_until_all_of_it_is_read() {
    let hosts: Vec<_> = (2..5).map(|n| Origin::start_at([127, 0, 0, n])).collect();
    let list: String = hosts.iter().flat_map(|host| lines(host, 40)).collect();
    let said = said("queue.window = 16\nhosts.'*'.rate = '20/s'\n", &list);
    assert!(said.iter().filter(|said| said.is_bound).count() >= 3, "{said:#?}");
    for said in said {
        // A machine that is busy makes the truth longer.
        assert!(said.left <= said.truth + 0.5, "{said:?}");
    }
}

#[test]
fn nothing_is_said_of_the_end_while_the_input_has_none() {
    let origin = Origin::start();
    let mut fetchd = Fetchd::with(["--progress", "always", "--host-rate", "5/s"]).start();
    (0..30).for_each(|n| fetchd.line(&origin.url(&format!("/ok/{n}"))));
    for _ in 0..2 {
        let line = fetchd.message(" done · ");
        assert!(!line.contains(" left"), "{line}");
    }
    fetchd.stdin = None;
    let line = fetchd.message(" left · ");
    assert!(!line.contains("at least"), "{line}");
}
