//! Reads the whole lines of a record file. The first bytes, not the name, decide between plain text, gzip and zstd. The
//! file may end with a partial line or frame: another process may write it, or a killed process or a power cut may have
//! left it.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use serde::de::IgnoredAny;

use super::RecordKeys;
use crate::error::BoxError;

/// The longest line of a record.
const LONGEST: u64 = 1 << 30;

/// A record file that is being read.
pub struct RecordFile<R: BufRead> {
    /// The name, for messages.
    name: String,
    text: Decoder<Head<R>>,
    line: Vec<u8>,
    /// Lines read so far.
    lines: u64,
    /// Whether the file ends with a partial line or frame.
    is_torn: bool,
}

/// A line of a record file.
#[derive(Debug)]
pub struct FoundRecord<'a> {
    /// The text, without LF.
    pub text: &'a [u8],
    /// The keys; `None` for a JSON object that is no record.
    pub keys: Option<RecordKeys<'a>>,
}

/// The file with its first bytes, which were read to detect the compression, chained in front.
type Head<R> = Chain<Cursor<Vec<u8>>, R>;

enum Decoder<R: BufRead> {
    Plain(R),
    Gzip(Box<BufReader<MultiGzDecoder<R>>>),
    Zstd(Box<BufReader<zstd::Decoder<'static, R>>>),
}

impl<R: BufRead> Decoder<R> {
    fn text(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(text) => text,
            Self::Gzip(text) => text,
            Self::Zstd(text) => text,
        }
    }

    /// The undecoded file.
    fn raw(&mut self) -> &mut R {
        match self {
            Self::Plain(text) => text,
            Self::Gzip(text) => text.get_mut().get_mut(),
            Self::Zstd(text) => text.get_mut().get_mut(),
        }
    }

    /// Whether the rest of the file is zeros.
    fn only_zeros_follow(&mut self, name: &str) -> Result<bool, BoxError> {
        let raw = self.raw();
        loop {
            let bytes = raw.fill_buf().map_err(|error| format!("cannot read {name}: {error}"))?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            match bytes.len() {
                0 => return Ok(true),
                n => raw.consume(n),
            }
        }
    }
}

impl<R: BufRead> RecordFile<R> {
    /// Opens a record file, and detects its compression.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(name: String, mut raw: R) -> Result<Self, BoxError> {
        let at = |error: io::Error| format!("cannot read {name}: {error}");
        let mut first = Vec::new();
        (&mut raw).take(4).read_to_end(&mut first).map_err(at)?;
        let kind = first.clone();
        let raw = Cursor::new(first).chain(raw);
        let text = match kind.as_slice() {
            [0x1f, 0x8b, ..] => Decoder::Gzip(Box::new(BufReader::new(MultiGzDecoder::new(raw)))),
            // A frame, or a skippable frame.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                Decoder::Zstd(Box::new(BufReader::new(zstd::Decoder::with_buffer(raw).map_err(at)?)))
            }
            _ => Decoder::Plain(raw),
        };
        Ok(Self { name, text, line: Vec::new(), lines: 0, is_torn: false })
    }

    /// Reads the next line that is not blank; `None` after the last whole one.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged before its end, or has a line that is no JSON object.
    pub fn read(&mut self) -> Result<Option<FoundRecord<'_>>, BoxError> {
        loop {
            if !self.read_line()? {
                return Ok(None);
            }
            if !self.line.is_empty() {
                break;
            }
        }
        let Self { name, text: decoder, line: text, lines, is_torn } = self;
        if let Some(keys) = RecordKeys::of_object(text) {
            return Ok(Some(FoundRecord { text, keys }));
        }
        // Data that a power cut left unwritten reads as zeros.
        if text.contains(&0) && decoder.only_zeros_follow(name)? {
            *is_torn = true;
            return Ok(None);
        }
        Err(format!("line {lines} of {name} is no JSON object; give files of records, as fetchd writes them").into())
    }

    /// The file name and the current line number, for messages.
    pub fn place(&self) -> String {
        format!("line {} of {}", self.lines, self.name)
    }

    /// Whether the file ends with a partial line or frame; valid after the last line.
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Reads a line without its line end; returns whether there is one.
    fn read_line(&mut self) -> Result<bool, BoxError> {
        self.line.clear();
        if self.is_torn {
            return Ok(false);
        }
        if let Err(error) = self.text.text().take(LONGEST).read_until(b'\n', &mut self.line) {
            return self.not_decoded(&error);
        }
        let is_there = !self.line.is_empty();
        self.lines += u64::from(is_there);
        let length = self.line.trim_ascii_end().len();
        // The last line may be whole without LF.
        self.is_torn = is_there
            && self.line.last() != Some(&b'\n')
            && serde_json::from_slice::<IgnoredAny>(&self.line[..length]).is_err();
        self.line.truncate(length);
        Ok(is_there && !self.is_torn)
    }

    /// Distinguishes a partial end of the file from damage after a read error.
    fn not_decoded(&mut self, error: &io::Error) -> Result<bool, BoxError> {
        // Read errors of the disk have an OS error code.
        let is_of_decoder = error.raw_os_error().is_none() && !matches!(self.text, Decoder::Plain(_));
        if is_of_decoder && (error.kind() == io::ErrorKind::UnexpectedEof || self.text.only_zeros_follow(&self.name)?) {
            self.is_torn = true;
            self.line.clear();
            return Ok(false);
        }
        let (name, lines) = (&self.name, self.lines);
        Err(format!("cannot read {name} after line {lines}: {error}; give a copy that is whole, or leave it out")
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Compress;

    const WHOLE: &str =
        "{\"seq\":1,\"outcome\":\"ok\"}\n{\"odd\":1}\n\n{\"seq\":2,\"outcome\":\"failed\",\"body\":\"é\"}\r\n";

    /// The lines, which of them are records, and whether the end is partial.
    fn read(bytes: &[u8]) -> Result<(Vec<String>, Vec<bool>, bool), String> {
        let mut file = RecordFile::new("x".into(), bytes).map_err(|error| error.to_string())?;
        let (mut texts, mut are_records) = (Vec::new(), Vec::new());
        while let Some(found) = file.read().map_err(|error| error.to_string())? {
            texts.push(String::from_utf8(found.text.to_owned()).unwrap());
            are_records.push(found.keys.is_some());
        }
        Ok((texts, are_records, file.is_torn()))
    }

    fn lines(n: usize) -> Vec<String> {
        let lines = WHOLE.lines().map(str::trim_end).filter(|line| !line.is_empty());
        lines.take(n).map(str::to_owned).collect()
    }

    /// The text in each compression, in one frame and in a frame per line.
    fn forms() -> Vec<Vec<u8>> {
        let mut forms = Vec::new();
        for compress in Compress::ALL {
            let frames: Vec<_> =
                WHOLE.split_inclusive('\n').map(|line| compress.frame(line.as_bytes()).unwrap()).collect();
            forms.extend([frames.concat(), compress.frame(WHOLE.as_bytes()).unwrap()]);
        }
        forms
    }

    #[test]
    fn a_file_is_read_in_whatever_form_it_is() {
        for form in forms() {
            assert_eq!(read(&form).unwrap(), (lines(3), vec![true, false, true], false));
        }
        assert_eq!(read(b"").unwrap(), (lines(0), vec![], false));
    }

    #[test]
    fn a_file_is_read_up_to_the_last_whole_line_wherever_it_is_cut() {
        for form in forms() {
            for cut in 0..form.len() {
                let (texts, ..) = read(&form[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
                assert_eq!(texts, lines(texts.len()), "cut at {cut}");
            }
        }
        let plain = WHOLE.len() - 10;
        assert_eq!(read(&WHOLE.as_bytes()[..plain]).unwrap(), (lines(2), vec![true, false], true));
        assert_eq!(read(WHOLE.trim_end().as_bytes()).unwrap(), (lines(3), vec![true, false, true], false));
    }

    #[test]
    fn zeros_at_the_end_are_what_a_power_cut_left() {
        for form in forms() {
            for zeros in [1, 3, 600, 100_000] {
                let (texts, _, is_torn) = read(&[form.as_slice(), &vec![0; zeros]].concat()).unwrap();
                assert!(texts == lines(3) && is_torn, "{zeros}: {texts:?}");
            }
        }
    }

    #[test]
    fn damage_before_the_end_and_other_programs_files_are_errors() {
        for compress in [Compress::Gzip, Compress::Zstd] {
            let mut damaged = compress.frame(WHOLE.as_bytes()).unwrap();
            let middle = damaged.len() / 2;
            damaged[middle..].fill(0x55);
            damaged.extend(compress.frame(WHOLE.as_bytes()).unwrap());
            damaged.extend(vec![7; 200_000]);
            let error = read(&damaged).unwrap_err();
            assert!(error.contains("cannot read x after line") && error.contains("whole"), "{error}");
        }
        let error = read(b"{\"seq\":1,\"outcome\":\"ok\"}\nDear diary,\n{}\n").unwrap_err();
        assert!(error.contains("line 2 of x is no JSON object"), "{error}");
        assert!(read(b"[1]\n{}\n").is_err());
    }
}
