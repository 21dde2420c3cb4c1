//! Token files: headers of `[hosts]` whose values contain the current contents of files (`${file:PATH}`).
//!
//! In: templates at the start, and requests to read a file again ([`RefreshTokens`]). Out: the headers with their token
//! generation, read together under one lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError, RwLock};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::HeaderMap;
use tokio::sync::oneshot;

use crate::item::{Refreshed, TokenGeneration, parse_header};
use crate::units::{Secret, Template, read_content};

/// Reads token files again.
pub trait RefreshTokens: Send + Sync {
    /// Reads the file with this index.
    fn refresh(&self, file: usize) -> BoxFuture<'_, Refreshed>;

    /// The generation of each file's content, by index.
    fn generations(&self) -> Vec<TokenGeneration> {
        Vec::new()
    }
}

/// Renders the headers that contain tokens from files.
#[derive(Debug, Default)]
pub struct Tokens {
    files: Vec<PathBuf>,
    /// By pattern.
    templates: Vec<BTreeMap<String, Template>>,
    state: RwLock<State>,
    /// Sends to the reader thread, once it has started.
    reader: Mutex<Option<SyncSender<ReadRequest>>>,
}

#[derive(Debug, Default)]
struct State {
    /// By file.
    contents: Vec<Content>,
    /// By pattern.
    headers: Vec<TokenHeaders>,
}

/// The last valid content of a file.
#[derive(Clone, Debug)]
struct Content {
    text: Secret<String>,
    generation: TokenGeneration,
}

/// The current headers of one pattern.
#[derive(Clone, Debug)]
pub(super) struct TokenHeaders {
    pub headers: HeaderMap,
    /// The newest generation among their tokens.
    pub generation: TokenGeneration,
}

/// A file to read, and the channel for its content, or for the clause that says why it has none.
type ReadRequest = (PathBuf, oneshot::Sender<Result<String, String>>);

impl Tokens {
    /// The headers of these patterns with the contents at the start. Files are identified by their index.
    ///
    /// # Errors
    /// The first invalid header; a checked configuration has none.
    pub fn new(files: Vec<PathBuf>, templates: Vec<BTreeMap<String, Template>>) -> Result<Self, String> {
        let first = |file: &PathBuf| {
            let all = templates.iter().flat_map(BTreeMap::values).flat_map(Template::files);
            let text = all.filter(|(path, _)| path == file).map(|(_, content)| content).next().unwrap_or_default();
            Content { text: Secret::new(text.to_owned()), generation: TokenGeneration::FIRST }
        };
        let contents: Vec<_> = files.iter().map(first).collect();
        let headers = templates.iter().map(|of_pattern| rendered(of_pattern, &files, &contents));
        let headers = headers.collect::<Result<_, String>>()?;
        let state = RwLock::new(State { contents, headers });
        Ok(Self { files, templates, state, reader: Mutex::default() })
    }

    /// Takes over the generations from before a reload: unchanged contents keep theirs, and others get a newer one than
    /// any before.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn follow(&self, before: &Self) -> Result<(), String> {
        let known = before.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let newest = known.contents.iter().map(|content| content.generation).max();
        let next = newest.map_or(TokenGeneration::FIRST, TokenGeneration::next);
        for (path, content) in self.files.iter().zip(&mut state.contents) {
            let number = before.files.iter().position(|file| file == path);
            let same = number.and_then(|number| known.contents.get(number)).filter(|known| known.text == content.text);
            content.generation = same.map_or(next, |known| known.generation);
        }
        let headers = self.templates.iter().map(|of_pattern| rendered(of_pattern, &self.files, &state.contents));
        state.headers = headers.collect::<Result<_, String>>()?;
        Ok(())
    }

    /// Whether there are token files.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// The headers of the pattern with this index.
    pub(super) fn headers_of(&self, pattern: usize) -> Option<TokenHeaders> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).headers.get(pattern).cloned()
    }

    /// Sets the content of a file: all headers that contain it change at once, if all of them are valid.
    fn renew(&self, file: usize, text: String) -> Refreshed {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if text.is_empty() {
            return Refreshed::Unusable("which is empty".to_owned());
        }
        if state.contents.get(file).is_none_or(|known| *known.text.expose() == text) {
            return Refreshed::Same;
        }
        let newest = state.contents.iter().map(|content| content.generation).max();
        let generation = newest.map_or(TokenGeneration::FIRST, TokenGeneration::next);
        let mut contents = state.contents.clone();
        contents[file] = Content { text: Secret::new(text), generation };
        let headers = self.templates.iter().map(|of_pattern| rendered(of_pattern, &self.files, &contents));
        let Ok(headers) = headers.collect::<Result<Vec<_>, String>>() else {
            return Refreshed::Unusable("whose content is not valid in a header".to_owned());
        };
        *state = State { contents, headers };
        Refreshed::Renewed(generation)
    }

    /// Reads a file in the reader thread, because a disk may be slow. The first call starts the thread. `None` while
    /// the thread reads another.
    async fn read(&self, file: usize) -> Option<Result<String, String>> {
        let (answer, answered) = oneshot::channel();
        let request = (self.files.get(file)?.clone(), answer);
        {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            if reader.is_none() {
                *reader = start_reader();
            }
            // The channel is full while the thread still reads a file for a request that was dropped.
            reader.as_ref()?.try_send(request).ok()?;
        }
        answered.await.ok()
    }
}

impl RefreshTokens for Tokens {
    fn refresh(&self, file: usize) -> BoxFuture<'_, Refreshed> {
        async move {
            match self.read(file).await {
                Some(Ok(text)) => self.renew(file, text),
                Some(Err(clause)) => Refreshed::Unusable(clause),
                None => Refreshed::Same,
            }
        }
        .boxed()
    }

    fn generations(&self) -> Vec<TokenGeneration> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.contents.iter().map(|content| content.generation).collect()
    }
}

/// Starts the reader thread, which ends when the sender is dropped.
fn start_reader() -> Option<SyncSender<ReadRequest>> {
    let (requests, from_requests): (_, Receiver<ReadRequest>) = sync_channel(1);
    let read = move || {
        for (path, answer) in from_requests {
            // The request may have been dropped.
            let _ = answer.send(read_content(&path));
        }
    };
    std::thread::Builder::new().name("tokens".to_owned()).spawn(read).ok().map(|_| requests)
}

/// The headers of a pattern with these contents of its files.
fn rendered(
    templates: &BTreeMap<String, Template>,
    files: &[PathBuf],
    contents: &[Content],
) -> Result<TokenHeaders, String> {
    let content_of = |path: &Path| {
        let number = files.iter().position(|file| file == path)?;
        contents.get(number)
    };
    let (mut headers, mut generation) = (HeaderMap::new(), TokenGeneration::FIRST);
    for (name, template) in templates {
        let text = template.render(|path| content_of(path).map(|content| content.text.expose().as_str()));
        let (name, mut value) = parse_header(name, &text)?;
        value.set_sensitive(true);
        headers.insert(name, value);
        let newest = template.files().filter_map(|(path, _)| content_of(path)).map(|content| content.generation).max();
        generation = newest.unwrap_or(generation).max(generation);
    }
    Ok(TokenHeaders { headers, generation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(prefix: &str, file: &str, content: &str) -> Template {
        let mut template = Template::default();
        template.push_text(prefix);
        template.push_file(file.into(), content.to_owned());
        template
    }

    fn tokens() -> Tokens {
        let one = BTreeMap::from([("authorization".to_owned(), template("Bearer ", "a", "1"))]);
        let two = BTreeMap::from([
            ("x-api-key".to_owned(), template("", "a", "1")),
            ("x-other".to_owned(), template("", "b", "2")),
        ]);
        Tokens::new(vec!["a".into(), "b".into()], vec![one, two]).unwrap()
    }

    fn sent(tokens: &Tokens, pattern: usize, name: &str) -> String {
        tokens.headers_of(pattern).unwrap().headers[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn one_content_is_one_generation_for_all_that_have_it() {
        let tokens = tokens();
        let second = TokenGeneration::FIRST.next();
        assert_eq!(tokens.renew(0, "new".to_owned()), Refreshed::Renewed(second));
        assert_eq!(
            (sent(&tokens, 0, "authorization"), sent(&tokens, 1, "x-api-key")),
            ("Bearer new".into(), "new".into())
        );
        assert_eq!(tokens.renew(1, "other".to_owned()), Refreshed::Renewed(second.next()));
        let generations = [0, 1].map(|pattern| tokens.headers_of(pattern).unwrap().generation);
        assert_eq!(generations, [second, second.next()]);
        assert_eq!(
            tokens.renew(0, "1".to_owned()),
            Refreshed::Renewed(second.next().next()),
            "one that was there before is new again"
        );
    }

    #[test]
    fn after_a_reload_contents_that_are_the_same_keep_their_generations_and_others_have_newer_ones() {
        let before = tokens();
        let Refreshed::Renewed(renewed) = before.renew(0, "new".to_owned()) else { panic!("a new content") };
        let header = |file: &str, content: &str| BTreeMap::from([("x-key".to_owned(), template("", file, content))]);
        let files = ["c", "b", "a"].map(PathBuf::from).to_vec();
        let after = Tokens::new(files, vec![header("a", "new"), header("b", "other"), header("c", "3")]).unwrap();
        after.follow(&before).unwrap();
        assert_eq!(after.generations(), [renewed.next(), renewed.next(), renewed]);
        assert_eq!(after.headers_of(0).unwrap().generation, renewed);
        assert_eq!(after.headers_of(1).unwrap().generation, renewed.next());
    }

    #[test]
    fn content_that_is_unchanged_empty_or_invalid_begins_no_generation() {
        let tokens = tokens();
        let unusable = |clause: &str| Refreshed::Unusable(clause.to_owned());
        assert_eq!(tokens.renew(0, "1".to_owned()), Refreshed::Same);
        assert_eq!(tokens.renew(0, String::new()), unusable("which is empty"));
        for text in ["a\nb", "a\u{0}"] {
            let invalid = unusable("whose content is not valid in a header");
            assert_eq!(tokens.renew(0, text.to_owned()), invalid, "{text:?}");
        }
        assert_eq!(tokens.renew(9, "new".to_owned()), Refreshed::Same);
        assert_eq!(sent(&tokens, 0, "authorization"), "Bearer 1");
    }

    #[tokio::test]
    async fn the_thread_reads_a_file_at_each_refresh() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let header = BTreeMap::from([("x-key".to_owned(), template("", path.to_str().unwrap(), "1"))]);
        let tokens = Tokens::new(vec![path.clone()], vec![header]).unwrap();
        for (content, is_new) in [("1\n", false), ("2\n", true), ("", false), ("3", true)] {
            std::fs::write(&path, content).unwrap();
            let refreshed = tokens.refresh(0).await;
            assert_eq!(matches!(refreshed, Refreshed::Renewed(_)), is_new, "{content:?}");
        }
        std::fs::remove_file(&path).unwrap();
        let Refreshed::Unusable(clause) = tokens.refresh(0).await else { panic!("the file is gone") };
        assert!(clause.starts_with("which cannot be read: No such file"), "{clause}");
        assert_eq!(sent(&tokens, 0, "x-key"), "3");
    }
}
