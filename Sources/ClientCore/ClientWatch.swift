package import RoostWire

/// One watch of the application; never used again.
package struct WatchID: WireNumber {
  package let rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the application wants to be told of; the machine numbers and resumes the watches that it asks nodes for.
struct ClientWatch: Sendable {
  enum State: Equatable, Sendable {
    /// To be asked for.
    case idle
    /// To be asked for again after a pause.
    case paused
    /// Asked for at that endpoint.
    case running(Int)
    /// Its reader is behind: nothing is asked for until it has caught up.
    case behind
  }

  let id: WatchID
  let wanted: WatchRequest
  var state = State.idle
  /// The number of the present watch at the node; each has another, so that news of an earlier one is known as such.
  var number: UInt64 = 0
  /// The first revision that has not been told to its end; 0: whatever comes next.
  var next: Revision
  /// How many changes of that revision have been told.
  var toldCount = 0
  /// How many changes of that revision the present watch will tell once more.
  var skipCount = 0
  /// Bytes that were told and not read.
  var unreadByteCount = 0
  /// Whether a node has ever said that it watches.
  var isStarted = false

  init(id: WatchID, wanted: WatchRequest) {
    self.id = id
    self.wanted = wanted
    next = wanted.start
  }

  /// What a node is asked for.
  var request: WatchRequest {
    var request = WatchRequest(watch: number, range: wanted.range, start: next)
    request.withoutPuts = wanted.withoutPuts
    request.withoutRemovals = wanted.withoutRemovals
    request.wantsPrevious = wanted.wantsPrevious
    request.newestOnly = wanted.newestOnly
    request.wantsProgress = wanted.wantsProgress
    return request
  }

  /// Takes in an event, and answers what of it is new.
  mutating func take(_ event: WatchEvent) -> [WatchEvent.Change] {
    // Mostly all of it is new and nothing follows: then all watches of the event share its list.
    let changes = !event.hasMore && isNew(event) ? event.changes : pick(event)
    if !event.hasMore, event.revision >= next {
      next = Revision(event.revision.rawValue + 1)
      toldCount = 0
      skipCount = 0
    }
    return changes
  }

  /// Whether all of an event comes behind what was told, up to where it says to have told everything.
  private func isNew(_ event: WatchEvent) -> Bool {
    guard toldCount == 0, skipCount == 0 else { return false }
    var last = next
    for change in event.changes {
      guard change.entry.modified >= last else { return false }
      last = change.entry.modified
    }
    return last <= event.revision
  }

  private mutating func pick(_ event: WatchEvent) -> [WatchEvent.Change] {
    var changes: [WatchEvent.Change] = []
    changes.reserveCapacity(event.changes.count)
    for change in event.changes {
      let revision = change.entry.modified
      guard revision >= next else { continue }
      if revision > next {
        next = revision
        toldCount = 0
        skipCount = 0
      }
      if skipCount > 0 {
        skipCount -= 1
        continue
      }
      toldCount += 1
      changes.append(change)
    }
    return changes
  }
}

extension WatchEvent.Change {
  /// About how much memory it takes.
  package var byteCount: Int {
    64 + entry.key.count + entry.value.count
      + (previous.map { $0.key.count + $0.value.count } ?? 0)
  }
}
