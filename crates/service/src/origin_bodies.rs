//! Bodies of origin responses that are being read. The host extends them and writes them part by part, so
//! a body is in memory once. One of known length gets a buffer of just that length.
//!
//! It knows no request and no format. Invariants: reserved bytes count as pending; a body is dropped with
//! its effect, or with a request whose host is gone.

use crate::io::{EffectId, RequestHandle};

/// The bodies by effect, each in its pieces. There are few: as many as calls in progress.
#[derive(Debug, Default)]
pub(super) struct OriginBodies {
    bodies: Vec<(EffectId, Vec<Vec<u8>>)>,
    bytes: usize,
}

/// The size of the first piece of a response of unknown length, and the largest size of a later one, in
/// bytes. Each piece is as large as all before it together, since growing a piece in place would leave a
/// hole of its size each time.
const FIRST_PIECE: usize = 16 << 10;
const LARGEST_PIECE: usize = 1 << 20;

impl OriginBodies {
    /// The memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The size of the piece that a body needs for `length` more bytes, of `expected` that are still
    /// to come where that is known; 0 where its last piece has room.
    pub(super) fn growth(&self, id: EffectId, length: usize, expected: usize) -> usize {
        let body = self.position(id).and_then(|at| self.bodies.get(at));
        let pieces = body.map(|(_, pieces)| &**pieces).unwrap_or_default();
        if pieces.last().is_some_and(|last| last.capacity() - last.len() >= length) {
            return 0;
        }
        if expected >= length {
            return expected;
        }
        let before: usize = pieces.iter().map(Vec::len).sum();
        length.max(before.clamp(FIRST_PIECE, LARGEST_PIECE))
    }

    /// Extends a body by `length` bytes, with a new piece of `grows` bytes. Returns these bytes.
    pub(super) fn extend(&mut self, id: EffectId, length: usize, grows: usize) -> &mut [u8] {
        let position = self.position(id).unwrap_or_else(|| {
            self.bodies.push((id, Vec::new()));
            self.bodies.len() - 1
        });
        let Some((_, pieces)) = self.bodies.get_mut(position) else { return &mut [] };
        if grows > 0 {
            let piece = Vec::with_capacity(grows);
            self.bytes += piece.capacity();
            pieces.push(piece);
        }
        let Some(last) = pieces.last_mut() else { return &mut [] };
        let start = last.len();
        last.resize(start + length, 0);
        last.get_mut(start..).unwrap_or_default()
    }

    /// Takes a body, complete or not.
    pub(super) fn take(&mut self, id: EffectId) -> Vec<u8> {
        let Some(position) = self.position(id) else { return Vec::new() };
        let (_, mut pieces) = self.bodies.swap_remove(position);
        self.bytes -= pieces.iter().map(Vec::capacity).sum::<usize>();
        if pieces.len() <= 1 {
            return pieces.pop().unwrap_or_default();
        }
        let mut whole = Vec::with_capacity(pieces.iter().map(Vec::len).sum());
        // Each piece is freed once it is copied.
        for piece in pieces {
            whole.extend_from_slice(&piece);
        }
        whole
    }

    /// Drops the bodies of requests that are not in progress.
    pub(super) fn retain(&mut self, is_under_way: impl Fn(RequestHandle) -> bool) {
        self.bodies.retain(|(id, _)| is_under_way(id.handle()));
        self.bytes = self.bodies.iter().flat_map(|(_, pieces)| pieces).map(Vec::capacity).sum();
    }

    fn position(&self, id: EffectId) -> Option<usize> {
        self.bodies.iter().position(|(known, _)| *known == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Continuation;

    fn id(request: u64) -> EffectId {
        EffectId { handle: RequestHandle(request), continuation: Continuation::OriginCall(0) }
    }

    fn write(bodies: &mut OriginBodies, id: EffectId, part: &[u8], expected: usize) -> usize {
        let growth = bodies.growth(id, part.len(), expected);
        bodies.extend(id, part.len(), growth).copy_from_slice(part);
        growth
    }

    #[test]
    fn a_body_whose_length_is_known_grows_once_and_to_that_length() {
        let mut bodies = OriginBodies::default();
        let growths = [(3, 7), (4, 4)].map(|(length, expected)| write(&mut bodies, id(1), &vec![1; length], expected));
        assert_eq!((growths, bodies.bytes()), ([7, 0], 7));
        assert_eq!((bodies.take(id(1)), bodies.bytes()), (vec![1; 7], 0));
    }

    #[test]
    fn one_of_unknown_length_comes_in_pieces_that_stand_in_order() {
        let mut bodies = OriginBodies::default();
        let parts = [b"a", b"b", b"c", b"d"].map(|letter| letter.repeat(10_000));
        let growths: Vec<usize> = parts.iter().map(|part| write(&mut bodies, id(1), part, 0)).collect();
        assert_eq!(growths, [FIRST_PIECE, FIRST_PIECE, 20_000, 0]);
        assert_eq!(bodies.bytes(), 2 * FIRST_PIECE + 20_000);
        assert_eq!((bodies.take(id(1)), bodies.bytes()), (parts.concat(), 0));
    }

    #[test]
    fn no_piece_is_larger_than_it_need_be() {
        let mut bodies = OriginBodies::default();
        let most = (0..200).map(|_| write(&mut bodies, id(1), &[b' '; 64 << 10], 0)).max();
        assert_eq!(most, Some(LARGEST_PIECE));
        assert!(bodies.bytes() < 200 * (64 << 10) + 2 * LARGEST_PIECE, "{} bytes", bodies.bytes());
    }

    #[test]
    fn one_that_is_longer_than_it_was_to_be_grows_on() {
        let mut bodies = OriginBodies::default();
        write(&mut bodies, id(1), b"abc", 3);
        write(&mut bodies, id(1), b"def", 0);
        assert_eq!(bodies.take(id(1)), b"abcdef");
    }

    #[test]
    fn bodies_of_a_host_that_is_gone_are_dropped() {
        let mut bodies = OriginBodies::default();
        for request in [1, 2] {
            write(&mut bodies, id(request), b"abc", 3);
        }
        bodies.retain(|handle| handle == RequestHandle(2));
        assert_eq!((bodies.bytes(), bodies.take(id(1)).len(), bodies.take(id(2)).len()), (3, 0, 3));
    }
}
