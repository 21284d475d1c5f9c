//! The counters of `-C instrument-coverage` in this process's memory, and whose they are.
//!
//! The runtime that rustc links (`profiler_builtins`, of LLVM) tells where its sections begin and end, which is how the search reads
//! and clears them. Invariant: nothing here runs while another thread does, since the counters are plain numbers.

#![allow(unsafe_code, reason = "sections of the program are reached by their addresses alone")]

use std::collections::{BTreeMap, BTreeSet};

unsafe extern "C" {
    fn __llvm_profile_begin_counters() -> *mut u64;
    fn __llvm_profile_end_counters() -> *mut u64;
    fn __llvm_profile_begin_data() -> *const Function;
    fn __llvm_profile_end_data() -> *const Function;
    fn __llvm_profile_begin_names() -> *const u8;
    fn __llvm_profile_end_names() -> *const u8;
}

/// What LLVM's runtime keeps of a function. Source: `InstrProfData.inc` of the LLVM that `rust-toolchain.toml` pins.
#[repr(C)]
struct Function {
    name: u64,
    hash: u64,
    /// From this record's own address, in bytes.
    counters: isize,
    bitmap: isize,
    pointer: usize,
    values: usize,
    counter_count: u32,
    value_sites: [u16; 3],
    bitmap_bytes: u32,
}

/// All counters, one for each region of the code.
pub(crate) fn counters() -> &'static mut [u64] {
    // SAFETY: the section is of plain numbers, lives as long as the program, and no other thread runs instrumented code.
    unsafe {
        let (begin, end) = (__llvm_profile_begin_counters(), __llvm_profile_end_counters());
        std::slice::from_raw_parts_mut(begin, end.offset_from(begin) as usize)
    }
}

/// How often each counter has gone up, by power of two: what runs twice and what runs a hundred times are two behaviours.
#[derive(Default)]
pub(crate) struct Coverage(Vec<u8>);

impl Coverage {
    /// Adds what ran since the counters were cleared, clears them, and says how many behaviours are new.
    pub(crate) fn add(&mut self) -> usize {
        let counters = counters();
        self.0.resize(counters.len(), 0);
        let mut new = 0;
        for (some, seen) in counters.chunks_mut(16).zip(self.0.chunks_mut(16)) {
            // Most of the code does not run.
            if some.iter().fold(0, |any, count| any | count) == 0 {
                continue;
            }
            for (count, seen) in some.iter_mut().zip(seen) {
                let class = match *count {
                    0 => continue,
                    1 => 1,
                    2 => 2,
                    3 => 4,
                    4..=7 => 8,
                    8..=15 => 16,
                    16..=31 => 32,
                    32..=127 => 64,
                    _ => 128,
                };
                new += usize::from(*seen & class == 0);
                *seen |= class;
                *count = 0;
            }
        }
        new
    }

    /// The counters that have gone up.
    pub(crate) fn regions(&self) -> BTreeSet<usize> {
        self.0.iter().enumerate().filter(|(_, classes)| **classes != 0).map(|(at, _)| at).collect()
    }

    /// Of the regions in functions whose mangled names contain one of `modules`: how many ran, and how many there are.
    pub(crate) fn of(&self, modules: &[&str]) -> (usize, usize) {
        let (names, base) = (names(), counters().as_ptr().addr());
        let (mut ran, mut all) = (0, 0);
        for function in functions() {
            let is_asked =
                names.get(&function.name).is_some_and(|name| modules.iter().any(|module| name.contains(module)));
            if !is_asked {
                continue;
            }
            let at = std::ptr::from_ref(function).addr().wrapping_add_signed(function.counters);
            let first = (at - base) / size_of::<u64>();
            let seen = &self.0[first..first + function.counter_count as usize];
            all += seen.len();
            ran += seen.iter().filter(|classes| **classes != 0).count();
        }
        (ran, all)
    }
}

fn functions() -> &'static [Function] {
    // SAFETY: the section is an array of such records, and lives as long as the program.
    unsafe {
        let (begin, end) = (__llvm_profile_begin_data(), __llvm_profile_end_data());
        std::slice::from_raw_parts(begin, end.offset_from(begin) as usize)
    }
}

/// Mangled names by the first half of their MD5, as the records refer to them. They stand in lists, each with its length before it
/// and, since the build says so, not compressed.
fn names() -> BTreeMap<u64, String> {
    // SAFETY: the section is of bytes, and lives as long as the program.
    let mut rest = unsafe {
        let (begin, end) = (__llvm_profile_begin_names(), __llvm_profile_end_names());
        std::slice::from_raw_parts(begin, end.offset_from(begin) as usize)
    };
    let mut names = BTreeMap::new();
    while !rest.is_empty() {
        let (length, compressed) = (leb128(&mut rest), leb128(&mut rest));
        assert_eq!(compressed, 0, "names are not compressed");
        let (list, others) = rest.split_at(length.min(rest.len()));
        rest = others;
        for name in list.split(|&byte| byte == 1) {
            let digest = md5::compute(name).0;
            names.insert(
                u64::from_le_bytes(digest[..8].try_into().unwrap()),
                String::from_utf8_lossy(name).into_owned(),
            );
        }
        // FeatureListCache are padded.
        while let [0, others @ ..] = rest {
            rest = others;
        }
    }
    names
}

fn leb128(bytes: &mut &[u8]) -> usize {
    let mut number = 0;
    let mut shift = 0;
    while let [byte, others @ ..] = *bytes {
        *bytes = others;
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}
