import RoostRaft
import RoostWire

/// The terms of the log's entries, as runs: what a journal must remember to know its last place.
struct LogTerms: Equatable {
  private struct Run: Equatable {
    let first: LogIndex
    let term: Term
  }

  private var runs: [Run] = []
  /// The place before the first entry.
  private(set) var base: LogPosition
  private(set) var last: LogPosition

  init(after base: LogPosition) {
    self.base = base
    last = base
  }

  mutating func append(_ place: LogPosition) {
    precondition(
      place.index.rawValue == last.index.rawValue + 1 && place.term >= last.term,
      "entries are appended in order"
    )
    if runs.last?.term != place.term { runs.append(Run(first: place.index, term: place.term)) }
    last = place
  }

  /// Goes on with entries of the term of the last one, which was appended.
  mutating func extend(through index: LogIndex) {
    precondition(index >= last.index, "entries are appended in order")
    last = LogPosition(term: last.term, index: index)
  }

  mutating func truncate(from index: LogIndex) {
    precondition(index > base.index, "what a snapshot holds is never truncated")
    guard index <= last.index else { return }
    while let run = runs.last, run.first >= index { runs.removeLast() }
    let kept = LogIndex(index.rawValue - 1)
    last = kept == base.index ? base : LogPosition(term: runs.last?.term ?? base.term, index: kept)
  }

  /// The term of an entry, or of the place before the first; nil outside of them.
  func term(at index: LogIndex) -> Term? {
    guard index >= base.index, index <= last.index else { return nil }
    if index == base.index { return base.term }
    return runs.last { $0.first <= index }?.term
  }

  mutating func reset(after place: LogPosition) { self = LogTerms(after: place) }

  /// Forgets the terms that only truncation below `place` would need.
  ///
  /// Where the log has another entry there, one that was cut off by what still waits to be written, nothing is forgotten: the cut
  /// is still to come.
  mutating func drop(through place: LogPosition) {
    guard place.index > base.index, term(at: place.index) == place.term else { return }
    base = place
    while runs.count > 1, runs[1].first <= place.index { runs.removeFirst() }
  }
}
