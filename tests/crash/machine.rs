//! A machine with a file system, in memory: what its programs see, what is sure to last, and what is on its way there.
//!
//! A power cut takes away what a program may not rely on; `cut` says what may be left then. Crashes yield new machines,
//! so that many ends can be tried of one beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use fetchd::disk::SyncPoint;

use super::sync_points::Fault;

/// What is read and written at once, or not at all.
pub const SECTOR: usize = 512;

/// The number of the directory above all.
const ROOT: u64 = 1;

/// A file or a directory, by its number.
pub type Number = u64;

#[derive(Clone, Debug)]
pub struct Machine {
    pub nodes: BTreeMap<Number, Node>,
    /// How often each is open, for one that is open keeps its number.
    pub open: BTreeMap<Number, usize>,
    /// By file, the handle that has its lock.
    pub locks: BTreeMap<Number, u64>,
    /// Handles so far.
    pub handles: u64,
    /// Operations so far that change something or make it last.
    pub operations: u64,
    /// The program dies in the operation with this number, and does so much of it before, in percent.
    pub dies_at: Option<(u64, usize)>,
    pub is_off: bool,
    /// Which syncs do not what they should.
    pub fault: Fault,
    /// Bytes that all files may have.
    pub capacity: Option<usize>,
    /// The operations, for whoever has to find out what went wrong.
    pub trace: Vec<String>,
}

#[derive(Clone, Debug, Hash)]
pub enum Node {
    File(File),
    Dir(Dir),
}

/// A file: `kept` lasts, and with all that is `pending` it is what is `seen`.
#[derive(Clone, Debug, Default, Hash)]
pub struct File {
    pub seen: Vec<u8>,
    pub kept: Vec<u8>,
    pub pending: Vec<Change>,
    /// A sync failed: what was pending then is never written, whatever later ones say.
    pub is_poisoned: bool,
}

#[derive(Clone, Debug, Hash)]
pub enum Change {
    Append(Vec<u8>),
    SetLen(usize),
}

/// A directory, likewise.
#[derive(Clone, Debug, Default, Hash)]
pub struct Dir {
    pub seen: BTreeMap<String, Number>,
    pub kept: BTreeMap<String, Number>,
    pub pending: Vec<Naming>,
}

#[derive(Clone, Debug, Hash)]
pub enum Naming {
    Create(String, Number),
    Rename(String, String, Number),
    Remove(String),
}

impl Change {
    pub fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Append(bytes) => content.extend_from_slice(bytes),
            Self::SetLen(len) => content.resize(*len, 0),
        }
    }
}

impl Naming {
    pub fn apply(&self, names: &mut BTreeMap<String, Number>) {
        match self {
            // Where what had the name before is still there, this has not come about.
            Self::Create(name, number) => drop(names.entry(name.clone()).or_insert(*number)),
            Self::Rename(from, to, number) => {
                names.remove(from);
                names.insert(to.clone(), *number);
            }
            Self::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl File {
    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }
}

impl Dir {
    pub fn change(&mut self, naming: Naming) {
        naming.apply(&mut self.seen);
        self.pending.push(naming);
    }

    /// All that is seen lasts from now on.
    pub fn keep(&mut self) {
        self.kept.clone_from(&self.seen);
        self.pending.clear();
    }

    /// Everything that has a name here, or may have one after a crash.
    fn numbers(&self) -> impl Iterator<Item = Number> {
        let pending = self.pending.iter().filter_map(|naming| match naming {
            Naming::Create(_, number) | Naming::Rename(_, _, number) => Some(*number),
            Naming::Remove(_) => None,
        });
        self.seen.values().chain(self.kept.values()).copied().chain(pending)
    }
}

impl Machine {
    /// A machine that has these directories.
    pub fn new(dirs: &[&str]) -> Self {
        let mut machine = Self {
            nodes: BTreeMap::from([(ROOT, Node::Dir(Dir::default()))]),
            open: BTreeMap::new(),
            locks: BTreeMap::new(),
            handles: 0,
            operations: 0,
            dies_at: None,
            is_off: false,
            fault: Fault::None,
            capacity: None,
            trace: Vec::new(),
        };
        for dir in dirs {
            machine.create_dirs(Path::new(dir)).expect("a directory can be made");
        }
        for node in machine.nodes.values_mut() {
            if let Node::Dir(dir) = node {
                dir.keep();
            }
        }
        (machine.operations, machine.trace) = (0, Vec::new());
        machine
    }

    /// The machine after its program was killed: all that was seen is there.
    pub fn killed(&self) -> Self {
        let mut next = self.clone();
        next.open.clear();
        next.locks.clear();
        (next.dies_at, next.is_off, next.operations) = (None, false, 0);
        next.trace.push("-- killed".into());
        next.collect();
        next
    }

    /// An operation begins: so much of it is done, in percent, or it is the last of this program and an error.
    pub fn begin(&mut self, what: impl FnOnce() -> String) -> io::Result<Option<usize>> {
        self.alive()?;
        self.operations += 1;
        self.trace.push(format!("{:3} {}", self.operations, what()));
        match self.dies_at {
            Some((at, part)) if at == self.operations => {
                self.is_off = true;
                Ok(Some(part))
            }
            _ => Ok(None),
        }
    }

    /// An operation of which nothing is done when the program dies in it.
    pub fn begin_whole(&mut self, what: impl FnOnce() -> String) -> io::Result<()> {
        self.begin(what)?;
        self.alive()
    }

    pub fn alive(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }

    pub fn lookup(&self, path: &Path) -> io::Result<Number> {
        let mut number = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let name = name.to_str().expect("names are text");
                number = *self.dir(number)?.seen.get(name).ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(number)
    }

    /// The directory of a path, and the name in it.
    pub fn split(&self, path: &Path) -> io::Result<(Number, String)> {
        let dir = self.lookup(path.parent().expect("no root"))?;
        self.dir(dir)?;
        Ok((dir, path.file_name().and_then(|name| name.to_str()).expect("names are text").to_owned()))
    }

    pub fn dir(&self, number: Number) -> io::Result<&Dir> {
        match self.nodes.get(&number) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub fn dir_mut(&mut self, number: Number) -> &mut Dir {
        match self.nodes.get_mut(&number) {
            Some(Node::Dir(dir)) => dir,
            _ => panic!("{number} is no directory"),
        }
    }

    pub fn file(&self, number: Number) -> &File {
        match self.nodes.get(&number) {
            Some(Node::File(file)) => file,
            _ => panic!("{number} is no file"),
        }
    }

    pub fn file_mut(&mut self, number: Number) -> &mut File {
        match self.nodes.get_mut(&number) {
            Some(Node::File(file)) => file,
            _ => panic!("{number} is no file"),
        }
    }

    /// Makes a directory and those above it, one operation each.
    pub fn create_dirs(&mut self, path: &Path) -> io::Result<()> {
        let above: Vec<_> = path.ancestors().collect();
        for path in above.iter().rev().filter(|path| path.file_name().is_some()) {
            if self.lookup(path).is_err() {
                self.begin_whole(|| format!("create_dir {}", path.display()))?;
                let (dir, name) = self.split(path)?;
                self.create(dir, name, Node::Dir(Dir::default()));
            }
        }
        Ok(())
    }

    /// A new node, with the lowest number that nothing has any more: file systems use numbers again soon, too.
    pub fn create(&mut self, dir: Number, name: String, node: Node) -> Number {
        self.collect();
        let number = (ROOT..).find(|number| !self.nodes.contains_key(number)).expect("there is a number");
        self.nodes.insert(number, node);
        self.dir_mut(dir).change(Naming::Create(name, number));
        number
    }

    /// Removes what has no name, can get none by a crash, and is not open.
    pub fn collect(&mut self) {
        let (mut live, mut todo) = (BTreeSet::new(), vec![ROOT]);
        todo.extend(self.open.keys());
        while let Some(number) = todo.pop() {
            if live.insert(number)
                && let Some(Node::Dir(dir)) = self.nodes.get(&number)
            {
                todo.extend(dir.numbers());
            }
        }
        self.nodes.retain(|number, _| live.contains(number));
    }

    /// Whether a sync fails.
    pub fn fails(&mut self, point: SyncPoint) -> bool {
        match &mut self.fault {
            Fault::Fails(at, good) if *at == point && *good > 0 => {
                *good -= 1;
                false
            }
            fault => matches!(fault, Fault::Fails(at, _) if *at == point),
        }
    }

    /// Bytes of all files.
    pub fn used(&self) -> usize {
        self.nodes.values().map(|node| if let Node::File(file) = node { file.seen.len() } else { 0 }).sum()
    }
}
