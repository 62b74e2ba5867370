import RoostRaft
import RoostWire

/// Raft's own promises, seen in all logs at once: logs that agree at one place agree before it, and whoever leads has what
/// was committed in earlier terms.
struct LogJudge {
  private struct Written {
    let entry: Entry
    let previous: Term?
  }

  private var written: [LogPosition: Written] = [:]
  /// For each entry the term in which it was first seen to be committed.
  private var committedIn: [Term] = []

  init() {}

  /// Takes in entries that a node adds behind one of that term; answers what is wrong about it.
  mutating func willWrite(_ entries: [Entry], behind term: Term?) -> String? {
    var previous = term
    for entry in entries {
      if let other = written[entry.position] {
        guard other.entry == entry else { return "two entries are \(entry.position.story)" }
        if let one = other.previous, let two = previous, one != two {
          return
            "\(entry.position.story) stands behind an entry of term \(two), elsewhere of \(one)"
        }
      } else {
        written[entry.position] = Written(entry: entry, previous: previous)
      }
      previous = entry.term
    }
    return nil
  }

  /// Takes in that the next entry is committed, as a node of that term knows.
  mutating func didCommit(in term: Term) { committedIn.append(term) }

  /// Whether a log, of which `term` tells the terms of places that it holds, may lead in a term.
  func judgeLeader(
    in leading: Term,
    committed: [Entry],
    from first: LogIndex,
    term: (LogIndex) -> Term?
  ) -> String? {
    guard let place = committedIn.lastIndex(where: { $0 < leading }) else { return nil }
    let entry = committed[place]
    guard entry.index >= first, term(entry.index) != entry.term else { return nil }
    return
      "leads in term \(leading) without \(entry.position.story), committed in term \(committedIn[place])"
  }
}
