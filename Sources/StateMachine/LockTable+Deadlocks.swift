internal import RoostWire

/// Finding circles of waiters before they close.
///
/// A claim that waits needs every holder of its locks to let go. A holder that waits itself, as the same
/// owner of the same session, lets go of nothing meanwhile. So a request whose waiting would lead, from
/// holder to what that holder waits for, back to a lock that the asker holds, can never be granted, nor
/// can anyone on the way. Claims on several locks also wait for those before them in each queue.
extension LockTable {
  /// A lock that somebody has, on the way from the asker back to it.
  struct Link: Equatable {
    let lock: [UInt8]
    let holder: UInt64
  }

  private struct Step {
    let lock: UInt32
    let claim: UInt32
    let before: Int
  }

  /// How far a search has come.
  private struct Search {
    /// Claims that are looked at before it gives up; waiting then ends by its deadline.
    var looksLeft = 1500
    var steps: [Step] = []
    var seen: Set<UInt32> = []

    mutating func add(_ claim: UInt32, at lock: UInt32, before: Int) {
      guard seen.insert(claim).inserted else { return }
      steps.append(Step(lock: lock, claim: claim, before: before))
    }
  }

  /// Searches for the circle that waiting for `wants` would close.
  ///
  /// - Parameters:
  ///   - wants: What is asked for.
  ///   - asker: The session and the owner in it.
  /// - Returns: The locks on the way and who holds each, from what is wanted to the asker; or nil.
  func circle(
    closedBy wants: [Acquire.Want],
    of asker: (session: UInt64, owner: UInt64)
  ) -> [Link]? {
    var search = Search()
    for want in wants {
      guard let lock = lock(named: want.name), let last = locks[lock]?.waiters.last else {
        continue
      }
      addBlockers(of: lock, endingWith: last, before: -1, to: &search)
    }
    var next = 0
    while next < search.steps.count, search.looksLeft > 0 {
      let current = next
      next += 1
      let slot = search.steps[current].claim
      guard let claim = claims[slot] else { continue }
      guard !claim.isWaiting else {
        addBlockers(ofWaiting: slot, before: current, to: &search)
        continue
      }
      if claim.session == asker.session, claim.owner == asker.owner {
        return path(to: current, in: search.steps)
      }
      forEachWait(of: claim.session, claim.owner) { waiting in
        search.looksLeft -= 1
        addBlockers(ofWaiting: waiting, before: current, to: &search)
        return search.looksLeft > 0
      }
    }
    return nil
  }

  private func addBlockers(
    ofWaiting claim: UInt32,
    before: Int,
    to search: inout Search
  ) {
    for part in partsOf(claim) {
      guard let part = parts[part] else { continue }
      addBlockers(of: part.lock, endingWith: part.previous, before: before, to: &search)
    }
  }

  /// Adds a lock's holders, and those waiters up to `last` that wait for other locks too.
  private func addBlockers(
    of lock: UInt32,
    endingWith last: UInt32,
    before: Int,
    to search: inout Search
  ) {
    guard let lockNow = locks[lock] else { return }
    var part = lockNow.holders.first
    while let holder = parts[part, orNone: Self.none], search.looksLeft > 0 {
      search.looksLeft -= 1
      // What an operator ended holds nobody up.
      if claims[holder.claim]?.token ?? 0 > lockNow.voidThrough {
        search.add(holder.claim, at: lock, before: before)
      }
      part = holder.next
    }
    guard lockNow.joinedWaiters > 0 else { return }
    part = last
    while let waiter = parts[part, orNone: Self.none], search.looksLeft > 0 {
      search.looksLeft -= 1
      if claims[waiter.claim]?.partCount ?? 1 > 1 {
        search.add(waiter.claim, at: lock, before: before)
      }
      part = waiter.previous
    }
  }

  private func path(to last: Int, in steps: [Step]) -> [Link] {
    var links: [Link] = []
    var index = last
    while index >= 0 {
      let step = steps[index]
      links.append(
        Link(lock: locks[step.lock]?.name ?? [], holder: claims[step.claim]?.session ?? 0)
      )
      index = step.before
    }
    return links.reversed()
  }
}
