//! The pairs of each series: short lists of numbers, end to end in pages.
//!
//! Pages are shared as those of the symbols are: a reader's copy is a counter for each page.

use std::sync::Arc;

use super::PairId;

/// Lists in one page.
const PAGE_LISTS: usize = 1024;

/// Lists of pairs, numbered in order of arrival, and cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct PairLists {
    pages: Vec<Arc<Page>>,
    /// Numbers in all lists.
    total: usize,
}

#[derive(Clone, Debug, Default)]
struct Page {
    flat: Vec<PairId>,
    /// Where each list ends in `flat`.
    ends: Vec<u32>,
}

impl PairLists {
    /// Adds a list: that of a label set, whose length the head limits.
    pub(crate) fn push(&mut self, list: &[PairId]) {
        if self.pages.last().is_none_or(|page| page.ends.len() == PAGE_LISTS) {
            let page = self.close_page();
            self.pages.push(Arc::new(page));
        }
        let page = Arc::make_mut(self.pages.last_mut().expect("invariant: a page was just made"));
        self.total += list.len();
        page.flat.extend_from_slice(list);
        page.ends.push(page.flat.len() as u32);
    }

    /// Gives back the spare capacity of a page that is full, unless a reader holds it. Gives the next one, with room for
    /// as much.
    fn close_page(&mut self) -> Page {
        let Some(full) = self.pages.last_mut().and_then(Arc::get_mut) else { return Page::default() };
        full.flat.shrink_to_fit();
        Page { flat: Vec::with_capacity(full.flat.len()), ends: Vec::with_capacity(PAGE_LISTS) }
    }

    pub(crate) fn get(&self, index: usize) -> &[PairId] {
        let (page, index) = (&self.pages[index / PAGE_LISTS], index % PAGE_LISTS);
        let start = index.checked_sub(1).map_or(0, |before| page.ends[before]);
        &page.flat[start as usize..page.ends[index] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE_LISTS + last.ends.len())
    }

    /// The length of all lists together.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Bytes on the heap, counting pages that readers share as ours.
    pub(crate) fn heap_bytes(&self) -> usize {
        let pages = self
            .pages
            .iter()
            .map(|page| (page.flat.capacity() + page.ends.capacity()) * size_of::<u32>() + size_of::<Page>());
        pages.sum::<usize>() + self.pages.capacity() * size_of::<Arc<Page>>()
    }
}
