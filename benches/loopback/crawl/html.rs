//! Pages of HTML as news sites and shops send them, made from a number: markup that repeats, text and addresses that do
//! not. gzip leaves 24 % of one, and inflating it costs about what pages of documentation of that size cost.

use std::fmt::Write;

use fastrand::Rng;

/// The size of a page, in bytes; it may be longer by its last entry and its end.
const BYTES: usize = 50_000;

/// Different words.
const WORDS: usize = 4_000;

/// What words are made of.
const SYLLABLES: [&str; 40] = [
    "an", "ber", "ca", "con", "der", "di", "e", "en", "er", "es", "fa", "ge", "ho", "i", "in", "is", "ka", "la", "le",
    "li", "ma", "men", "mo", "na", "ne", "o", "on", "per", "pro", "ra", "re", "ri", "sta", "su", "ta", "te", "ti",
    "tion", "ver", "vi",
];

/// Styles and a script that every page has in its head.
const HEAD: &str = "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
    <style>\nbody { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: #1d2126; background: #fff }\n\
    .site-header { display: flex; align-items: center; gap: 1rem; padding: .75rem 1.25rem; border-bottom: 1px solid #e3e6ea }\n\
    .post { display: grid; grid-template-columns: 12rem 1fr; gap: 1rem; margin: 1.5rem auto; max-width: 60rem }\n\
    .post__title { font-size: 1.25rem; margin: 0 0 .25rem }\n.post__meta { color: #667; font-size: .875rem }\n\
    .post__tags { list-style: none; display: flex; gap: .5rem; padding: 0 }\n\
    @media (max-width: 40rem) { .post { grid-template-columns: 1fr } .site-nav { display: none } }\n</style>\n\
    <script>\nwindow.dataLayer = window.dataLayer || [];\nfunction track() { dataLayer.push(arguments) }\n\
    document.documentElement.classList.replace('no-js', 'js');\ntrack('js', new Date());\n</script>\n";

/// The page of a number, always the same.
pub fn page(number: usize) -> String {
    let mut writer = Writer { words: words(), random: Rng::with_seed(number as u64), page: String::new() };
    writer.start();
    let mut entries = 0;
    while writer.page.len() < BYTES {
        writer.entry(entries);
        entries += 1;
    }
    writer.put("</main>\n<footer class=\"site-footer\"><p>All rights reserved.</p></footer>\n</body>\n</html>\n");
    writer.page
}

/// The words of all pages.
fn words() -> Vec<String> {
    let mut random = Rng::with_seed(0);
    let word = |_| (0..random.usize(1..5)).map(|_| SYLLABLES[random.usize(..SYLLABLES.len())]).collect();
    (0..WORDS).map(word).collect()
}

struct Writer {
    words: Vec<String>,
    random: Rng,
    page: String,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.page.push_str(text);
    }

    /// A word by Zipf's law: the n-th of the vocabulary is written one n-th as often as the first.
    fn word(&mut self) -> String {
        let rank = (WORDS as f64).powf(self.random.f64());
        self.words[(rank as usize).min(WORDS) - 1].clone()
    }

    fn phrase(&mut self, words: usize, between: &str) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(between)
    }

    /// Sentences of 6 to 20 words, some with a link or emphasis in it.
    fn prose(&mut self, sentences: usize) -> String {
        let mut text = String::new();
        for _ in 0..sentences {
            let (first, rest) = (self.random.usize(3..10), self.random.usize(3..10));
            let (start, end) = (self.phrase(first, " "), self.phrase(rest, " "));
            let (initial, start) = start.split_at(1);
            let middle = match self.random.u8(..6) {
                0 => format!(" <a href=\"/{}\">{}</a>", self.phrase(3, "-"), self.phrase(2, " ")),
                1 => format!(" <em>{}</em>", self.word()),
                2 => ",".to_owned(),
                _ => String::new(),
            };
            let _ = write!(text, "{}{start}{middle} {end}. ", initial.to_uppercase());
        }
        text
    }

    fn start(&mut self) {
        let title = self.phrase(6, " ");
        let build = self.random.u64(..);
        let _ = write!(
            self.page,
            "<!DOCTYPE html>\n<html lang=\"en\" class=\"no-js\">\n<head>\n<title>{title}</title>\n{HEAD}"
        );
        for sheet in ["base", "layout", "theme", "print"] {
            let _ = writeln!(self.page, "<link rel=\"stylesheet\" href=\"/assets/css/{sheet}.{build:016x}.css\">");
        }
        self.put("</head>\n<body>\n<header class=\"site-header\"><nav class=\"site-nav\"><ul>\n");
        for _ in 0..24 {
            let (section, name) = (self.phrase(2, "-"), self.phrase(2, " "));
            let _ = writeln!(self.page, "<li class=\"site-nav__item\"><a href=\"/{section}/\">{name}</a></li>");
        }
        self.put("</ul></nav></header>\n<main class=\"site-main\" id=\"main\">\n");
    }

    /// A teaser: heading, picture, text and tags.
    fn entry(&mut self, position: usize) {
        let (id, hash, day) = (self.random.u32(100_000..1_000_000), self.random.u64(..), self.random.u8(10..29));
        let (section, slug, title) = (self.word(), self.phrase(5, "-"), self.phrase(7, " "));
        let (name, author) = (self.phrase(2, " "), self.random.u16(..));
        let _ = write!(
            self.page,
            "<article class=\"post post--list\" id=\"post-{id}\" data-section=\"{section}\" data-position=\"{position}\">\n\
             <h2 class=\"post__title\"><a class=\"post__link\" href=\"/{section}/{slug}-{id}\" rel=\"bookmark\">{title}</a></h2>\n\
             <p class=\"post__meta\">By <a href=\"/authors/{author}\" rel=\"author\">{name}</a> on \
             <time datetime=\"2024-03-{day}T08:00:00Z\">{day} March 2024</time></p>\n\
             <img class=\"post__image\" src=\"/images/{hash:016x}/640x360.webp\" srcset=\"/images/{hash:016x}/1280x720.webp 2x\" \
             alt=\"{title}\" loading=\"lazy\" width=\"640\" height=\"360\">\n"
        );
        for sentences in [2, 3] {
            let prose = self.prose(sentences);
            let _ = writeln!(self.page, "<p class=\"post__text\">{prose}</p>");
        }
        self.put("<ul class=\"post__tags\">");
        for _ in 0..3 {
            let tag = self.word();
            let _ = write!(self.page, "<li><a href=\"/tags/{tag}\" rel=\"tag\">{tag}</a></li>");
        }
        self.put("</ul>\n</article>\n");
    }
}
