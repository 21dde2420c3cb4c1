//! The tour.
/// The tour.
pub async fn run() -> u8 {
    0
}
