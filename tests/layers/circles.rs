//! Import circles: files of which each needs another one to be understood. A folder's `mod.rs` and the files below it are
//! one module, so what they take from each other does not count.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{code, paths_from, sources};

/// A module by its path: `["source", "file", "tailer"]`.
type Module = Vec<String>;

/// Which modules import which.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// The module that a file holds.
fn module_of(file: &str) -> Module {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(str::to_owned).collect()
}

/// The files as modules, with their code.
struct House(BTreeMap<Module, String>);

impl House {
    fn of(files: &[(String, String)]) -> Self {
        Self(files.iter().map(|(file, text)| (module_of(file), code(text))).collect())
    }

    fn imports(&self) -> Imports {
        let of = |(module, code): (&Module, &String)| {
            let named = ["crate", "super"].into_iter().flat_map(|root| {
                paths_from(root, code).into_iter().map(move |named| format!("{root}::{}", named.path))
            });
            let targets = named.filter_map(|path| self.target(module, &path));
            (module.clone(), targets.filter(|target| !is_family(module, target)).collect())
        };
        self.0.iter().map(of).collect()
    }

    /// The module in which what a path names is defined, re-exports followed.
    fn target(&self, from: &Module, path: &str) -> Option<Module> {
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut base = if parts[0] == "crate" { Vec::new() } else { from.clone() };
        while let Some(first) = parts.first().filter(|part| matches!(**part, "crate" | "super")) {
            if *first == "super" {
                base.pop();
            }
            parts.remove(0);
        }
        self.descend(base, &parts)
    }

    fn descend(&self, base: Module, parts: &[&str]) -> Option<Module> {
        let Some((first, rest)) = parts.split_first() else { return self.0.contains_key(&base).then_some(base) };
        let child: Module = base.iter().cloned().chain([(*first).to_owned()]).collect();
        if self.0.contains_key(&child) {
            return self.descend(child, rest);
        }
        match self.re_export(&base, first) {
            Some(child) => self.descend(child, parts),
            None => self.0.contains_key(&base).then_some(base),
        }
    }

    /// The child of a module from which it hands a name on.
    fn re_export(&self, module: &Module, name: &str) -> Option<Module> {
        let code = self.0.get(module)?;
        let public: String = code.split(';').filter(|item| is_public_use(item)).collect::<Vec<_>>().join(";\n");
        let mut children = self.0.keys().filter(|child| child.len() == module.len() + 1 && child.starts_with(module));
        let hands_on = |child: &&Module| {
            let named = child.last().map(|last| paths_from(last, &public)).unwrap_or_default();
            named.iter().any(|named| named.path.split("::").next() == Some(name))
        };
        children.find(hands_on).cloned()
    }
}

/// `pub use …` or `pub(super) use …`
fn is_public_use(item: &str) -> bool {
    let item = item.trim_start();
    item.starts_with("pub") && item.split_whitespace().nth(1) == Some("use")
}

/// Whether one of two modules holds the other.
fn is_family(one: &Module, other: &Module) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The modules that can be reached from one.
fn reachable(imports: &Imports, from: &Module) -> BTreeSet<Module> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(next) = open.pop() {
        for target in imports.get(&next).into_iter().flatten() {
            if found.insert(target.clone()) {
                open.push(target.clone());
            }
        }
    }
    found
}

/// The imports by which modules can be reached from themselves.
fn in_circles(files: &[(String, String)]) -> Vec<String> {
    let imports = House::of(files).imports();
    let mut found = Vec::new();
    for (module, targets) in &imports {
        let closes = |target: &&Module| reachable(&imports, target).contains(module);
        found.extend(targets.iter().filter(closes).map(|to| format!("{} → {}", module.join("::"), to.join("::"))));
    }
    found
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = in_circles(&sources());
    assert!(circles.is_empty(), "these imports close circles:\n{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_through_a_re_export_and_over_several_files() {
    let file = |name: &str, text: &str| (format!("src/{name}.rs"), text.to_owned());
    let mut files = vec![
        file("a/mod", "mod b;\nmod c;\npub use c::C;\n"),
        file("a/b", "use super::C;\n"),
        file("a/c", "use crate::d::{D, e};\npub struct C;\n"),
        file("d", "pub struct D;\n"),
    ];
    assert_eq!(in_circles(&files), [""; 0]);
    files[3].1.push_str("fn f(_: crate::a::b::B) {}\n");
    assert_eq!(in_circles(&files), ["a::b → a::c", "a::c → d", "d → a::b"]);
    // What a folder's file takes from below is its own.
    files[3].1 = "use crate::a::X;\n".to_owned();
    assert_eq!(in_circles(&files), [""; 0]);
}
