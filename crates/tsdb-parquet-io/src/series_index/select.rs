//! Which series do matchers select, when the blocks come in later.
//!
//! The set algebra is [`tsdb_core::select`], which knows nothing of waiting: it calls a [`LabelIndex`] and wants an
//! answer. Here the index answers a call for which blocks are missing with an error that names them; the whole
//! selection is run again when they are there. Since it makes the same calls in the same order every time, the answers
//! of finished calls are kept by the number of the call, and a call over many blocks keeps how far it has come and
//! what it has joined so far. So no block is used twice, and only a few are held at a time.

mod calls;

use std::cell::RefCell;

use tsdb_core::{Candidates, LabelIndex, Matcher, Postings, select};

use super::block::{BLOCKS_AT_A_TIME, Held};
use super::{Block, BlockId, BlockLookup, Directory, IndexError, IndexResult, Step};
use calls::{Call, Matching, Retaining};

/// The series that satisfy matchers, as a lookup in blocks. Its answer are the ordinals.
#[derive(Debug)]
pub struct Selection<'a> {
    matchers: &'a [Matcher],
    state: RefCell<State<'a>>,
}

#[derive(Debug)]
struct State<'a> {
    directory: &'a Directory,
    held: Held,
    /// Blocks that single values of the matchers are in, in the order in which they will be asked for, about.
    ahead: Vec<BlockId>,
    /// The calls of the selection, in their order.
    calls: Vec<Call>,
    /// The number of the next call.
    next: usize,
}

/// Why the selection stopped.
#[derive(Debug)]
enum Stop {
    Need(Vec<BlockId>),
    Failed(IndexError),
}

impl From<IndexError> for Stop {
    fn from(error: IndexError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Selection<'a> {
    /// A lookup of the series that satisfy all `matchers`; of all series for none.
    #[must_use]
    pub fn new(directory: &'a Directory, matchers: &'a [Matcher]) -> Self {
        let (held, calls) = (Held::default(), Vec::new());
        let ahead = blocks_ahead(directory, matchers);
        Self { matchers, state: RefCell::new(State { directory, held, ahead, calls, next: 0 }) }
    }
}

/// The blocks with the values that the matchers name, so that they can be asked for together.
fn blocks_ahead(directory: &Directory, matchers: &[Matcher]) -> Vec<BlockId> {
    let mut ahead = Vec::new();
    for matcher in matchers {
        let (Some((_, label)), Candidates::Literals(values)) =
            (directory.label(matcher.name()), matcher.candidates())
        else {
            continue;
        };
        for value in values.iter().filter(|value| !value.is_empty()) {
            let block = label.block_of(value);
            ahead.extend(block.filter(|block| ahead.last() != Some(block)));
        }
    }
    ahead
}

impl BlockLookup for Selection<'_> {
    type Answer = Postings;

    fn step(&mut self) -> IndexResult<Step<Postings>> {
        self.state.get_mut().next = 0;
        match select(&Replay(&self.state), self.matchers) {
            Ok(series) => Ok(Step::Done(series)),
            Err(Stop::Need(blocks)) => Ok(Step::Need(blocks)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn supply(&mut self, block: Block) {
        self.state.get_mut().held.supply(block);
    }
}

impl State<'_> {
    /// The call to answer now, `new` if it is made for the first time.
    fn call(&mut self, new: impl FnOnce() -> Call) -> usize {
        let number = self.next;
        self.next += 1;
        if self.calls.len() == number {
            self.calls.push(new());
        }
        number
    }

    /// Asks for the block of a single value, and for those that will be needed next.
    fn need_one(&mut self, block: BlockId) -> Stop {
        let at = self.ahead.iter().position(|&ahead| ahead == block).unwrap_or(self.ahead.len());
        let (past, ahead) = self.ahead.split_at(at);
        if self.held.len() >= 2 * BLOCKS_AT_A_TIME {
            self.held.retain(|held| !past.contains(&held));
        }
        let ahead = ahead.iter().copied().take(BLOCKS_AT_A_TIME);
        Stop::Need(self.held.missing([block].into_iter().chain(ahead).take(BLOCKS_AT_A_TIME)))
    }

    fn postings(&mut self, name: &str, value: &str) -> Result<Postings, Stop> {
        let number = self.call(|| Call::Asked);
        if let Call::Answered(series) = &self.calls[number] {
            return Ok(series.clone());
        }
        let mut union = super::postings::Union::default();
        if let Some((number, label)) = self.directory.label(name)
            && let Some(block) = label.block_of(value)
        {
            if !self.held.has(block) {
                return Err(self.need_one(block));
            }
            let block = self.held.values(block, self.directory)?;
            let values = block.values(number)?;
            if let Some(entry) = values.find(value) {
                values.add_series(entry, &mut union)?;
            }
        }
        let series = union.finish();
        self.calls[number] = Call::Answered(series.clone());
        Ok(series)
    }

    fn having(&mut self, name: &str) -> Result<Postings, Stop> {
        let directory = self.directory;
        match directory.label(name) {
            None => Ok(Postings::new()),
            Some((_, label)) if label.series == directory.series() => Ok(Postings::all(label.series)),
            // The set is the one of the empty value.
            Some((_, label)) if !label.own.is_empty() => {
                let shared = label.shared;
                self.having_in(name, shared)
            }
            Some(_) => self.matching(name, "", &mut |_| true),
        }
    }

    fn having_in(&mut self, name: &str, shared: Option<BlockId>) -> Result<Postings, Stop> {
        let Some(block) = shared else { return self.matching(name, "", &mut |_| true) };
        let call = self.call(|| Call::Asked);
        if let Call::Answered(series) = &self.calls[call] {
            return Ok(series.clone());
        }
        if !self.held.has(block) {
            return Err(self.need_one(block));
        }
        let mut union = super::postings::Union::default();
        if let Some((number, _)) = self.directory.label(name) {
            let block = self.held.values(block, self.directory)?;
            block.values(number)?.having()?.add_series(0, &mut union)?;
        }
        let series = union.finish();
        self.calls[call] = Call::Answered(series.clone());
        Ok(series)
    }

    fn matching(
        &mut self,
        name: &str,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Stop> {
        let directory = self.directory;
        let Some((number, label)) = directory.label(name) else { return Ok(Postings::new()) };
        let call = self.call(|| Call::Matching(Matching::new(label.blocks_with_prefix(prefix))));
        if let Call::Matching(matching) = &mut self.calls[call] {
            let series = matching.go_on(directory, &mut self.held, number, prefix, test)?;
            self.calls[call] = Call::Answered(series);
        }
        match &self.calls[call] {
            Call::Answered(series) => Ok(series.clone()),
            _ => Ok(Postings::new()),
        }
    }

    fn retain(
        &mut self,
        series: &mut Postings,
        name: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, Stop> {
        let directory = self.directory;
        let Some((number, label)) = directory.label(name) else { return Ok(false) };
        let call = self.call(|| match Retaining::new(directory, series, label.own.len()) {
            Some(retaining) => Call::Retaining(retaining),
            None => Call::Declined,
        });
        if let Call::Retaining(retaining) = &mut self.calls[call] {
            let kept = retaining.go_on(directory, &mut self.held, number, test)?;
            self.calls[call] = Call::Answered(kept);
        }
        if let Call::Answered(kept) = &self.calls[call] {
            series.clone_from(kept);
            return Ok(true);
        }
        Ok(false)
    }
}

/// The index as one run of the selection sees it.
struct Replay<'s, 'a>(&'s RefCell<State<'a>>);

impl LabelIndex for Replay<'_, '_> {
    type Error = Stop;

    fn all(&self) -> Result<Postings, Stop> {
        Ok(Postings::all(self.0.borrow().directory.series()))
    }

    fn postings(&self, name: &str, value: &str) -> Result<Postings, Stop> {
        self.0.borrow_mut().postings(name, value)
    }

    fn postings_matching(
        &self,
        name: &str,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Stop> {
        self.0.borrow_mut().matching(name, prefix, test)
    }

    fn postings_having(&self, name: &str) -> Result<Postings, Stop> {
        self.0.borrow_mut().having(name)
    }

    fn retain_series(
        &self,
        series: &mut Postings,
        name: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, Stop> {
        self.0.borrow_mut().retain(series, name, test)
    }
}
