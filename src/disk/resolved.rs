//! Resolves paths, so that they can be compared before any file is opened.

use std::path::{Component, Path, PathBuf, absolute};

/// Makes a path absolute, without symbolic links and `..`. The file and its parents need not exist.
pub fn resolved(path: &Path) -> PathBuf {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)));
    let Some((mut resolved, rest)) = there else { return path };
    for part in rest.components() {
        match part {
            // A missing component is no link.
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_ways_to_a_file_are_one_whether_it_is_there_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| resolved(&dir.path().join(name));
        for is_there in [false, true] {
            for other in ["./a", "b/../a", "b/c/../../a"] {
                assert_eq!(at(other), at("a"), "{other}, is there: {is_there}");
            }
            assert_ne!(at("b/a"), at("a"));
            fs::create_dir_all(dir.path().join("b/c")).unwrap();
            fs::write(dir.path().join("a"), "").unwrap();
        }
        symlink("a", dir.path().join("soft")).unwrap();
        symlink("b", dir.path().join("d")).unwrap();
        assert_eq!((at("soft"), at("d/new")), (at("a"), at("b/new")));
    }
}
