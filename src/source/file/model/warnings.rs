//! Collects the reader's warnings.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Level;

/// The collected warnings.
#[derive(Clone, Default)]
pub struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    /// Runs `work` and collects its warnings.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let warnings = self.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::WARN).with_writer(move || warnings.clone());
        tracing::subscriber::with_default(subscriber.finish(), work)
    }

    /// Removes the warnings, and returns whether one of them reported lost lines.
    pub fn take_losses(&self) -> bool {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8_lossy(&text).lines().any(|line| line.contains(" lost") || line.contains(" gone"))
    }
}

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
