//! Copies the unflushed end of a deleted output file to the next file, in pieces and even if the disk is full.

use std::io;
use std::sync::Arc;

use crate::disk::{AppendAttempts, DiskFile, is_full};

/// The end of a deleted file that has to be copied to the next file.
#[derive(Debug)]
pub(super) struct DeletedEnd {
    file: Arc<dyn DiskFile>,
    at: u64,
    attempts: AppendAttempts,
}

impl DeletedEnd {
    pub fn new(file: Arc<dyn DiskFile>, at: u64) -> Self {
        Self { file, at, attempts: AppendAttempts::default() }
    }

    /// Copies the next bytes and returns their number; 0 at the end. On a full disk, it frees the bytes already copied.
    pub fn copy_piece(&mut self, to: &dyn DiskFile) -> io::Result<usize> {
        const PIECE: usize = 64 << 10;
        let mut piece = vec![0; PIECE];
        let n = self.file.read_at(&mut piece, self.at)?;
        match self.attempts.append(to, &piece[..n]) {
            Err(error) if is_full(&error) => {
                self.file.free_start(self.at)?;
                self.attempts.append(to, &piece[..n])?;
            }
            appended => appended?,
        }
        self.at += n as u64;
        Ok(n)
    }
}
