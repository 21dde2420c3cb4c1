//! Whatever a run did and wherever it ended, the next one goes on from there; and it takes every sync for that.

use fetchd::disk::SyncPoint;
use proptest::prelude::*;

use super::explore::{explore, explore_failures, explore_torn};
use super::sync_points::SITES;
use super::workload::Workload;

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 60, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn no_line_is_lost_and_no_record_is_there_twice(seed in any::<u64>(), length in 1usize..14) {
        let explored = explore(&Workload::new(seed, length), None);
        prop_assert!(explored.is_ok(), "{:?}", explored.err());
    }

    #[test]
    fn a_sync_that_fails_ends_the_run_and_costs_nothing(seed in any::<u64>(), point in 0..SITES.len()) {
        let explored = explore_failures(&Workload::new(seed, 12), SITES[point]);
        prop_assert!(explored.is_ok(), "{:?} fails: {:?}", SITES[point], explored.err());
    }
}

/// Crashes workloads with one sync left out, until that does harm.
fn needs(point: SyncPoint) {
    const MOST: u64 = 40;
    for seed in 0..MOST {
        let workload = Workload::new(seed, 12);
        if explore(&workload, Some(point)).is_err() {
            let with_it = explore(&workload, None);
            assert!(with_it.is_ok(), "{:?}", with_it.err());
            return;
        }
    }
    panic!("nothing goes wrong without the sync {point:?}");
}

macro_rules! needed {
    ($($test:ident: $point:ident,)*) => {
        $(#[test]
        fn $test() {
            needs(SyncPoint::$point);
        })*

        #[test]
        fn every_sync_has_its_test() {
            // The last ones have tests of their own kind.
            let others = [SyncPoint::OutputCut, SyncPoint::RoundList, SyncPoint::RoundName];
            let of_keys = [SyncPoint::KeysFile, SyncPoint::KeysName];
            let of_overrides = [SyncPoint::OverridesFile, SyncPoint::OverridesName];
            let tested = [&[$(SyncPoint::$point,)*][..], &others, &of_keys, &of_overrides].concat();
            assert!(SITES.iter().all(|point| tested.contains(point)));
        }
    };
}

needed! {
    the_data_directory_has_its_name_before_it_has_anything_else: DataDir,
    a_batch_is_synced_before_it_is_accepted: JournalBatch,
    what_is_found_in_the_journal_is_synced_before_it_is_believed: JournalFound,
    a_segment_has_its_name_before_it_has_lines: JournalName,
    records_are_synced_before_the_checkpoint_relies_on_them: Output,
    an_output_has_its_name_before_it_has_records: OutputName,
    what_is_found_in_an_output_is_synced_before_it_is_believed: OutputFound,
    what_stays_is_in_a_file_of_its_own_before_an_output_is_cut: RewriteFile,
    that_file_has_its_name_before_an_output_is_cut: RewriteName,
    what_stays_is_back_in_an_output_before_that_file_goes: RewriteOutput,
    that_file_is_gone_before_anything_else_is_written: RewriteRemoved,
    a_checkpoint_is_whole_before_it_replaces_the_old_one: CheckpointFile,
    a_checkpoint_has_its_name_before_anything_is_deleted: CheckpointName,
}

/// What is behind a torn sector comes back where a record of the same length took the place of what was before it.
#[test]
fn a_cut_is_synced_before_something_else_is_written_there() {
    let is_needed = |seed| explore_torn(&Workload::burst(seed), Some(SyncPoint::OutputCut)).is_err();
    let seed = (0..8).find(|seed| is_needed(*seed)).expect("nothing goes wrong without it");
    let with_it = explore_torn(&Workload::burst(seed), None);
    assert!(with_it.is_ok(), "{:?}", with_it.err());
}
