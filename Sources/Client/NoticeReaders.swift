internal import RoostClientCore
internal import RoostWire

/// Tasks that wait for what the machine tells by itself, and what nobody has read yet.
///
/// How much a watch leaves unread is bounded by the machine.
struct NoticeReaders {
  private struct Mailbox {
    var news: [WatchNews] = []
    var reader: CheckedContinuation<WatchNews?, Never>?
  }

  private struct LossWaiter {
    let token: UInt64
    let continuation: CheckedContinuation<ClientNotice.Loss?, Never>
  }

  private struct EndWaiter {
    let lease: UInt64
    let continuation: CheckedContinuation<Bool, Never>
  }

  private var mailboxes: [WatchID: Mailbox] = [:]
  private var lossWaiters: [UInt64: LossWaiter] = [:]
  private var endWaiters: [UInt64: EndWaiter] = [:]
  /// Grants that were lost lately, for those who ask a moment later.
  private var losses: [(token: UInt64, loss: ClientNotice.Loss)] = []
  /// Kept leases, and whether they have ended.
  private var leases: [UInt64: Bool] = [:]
  private var lastPlace: UInt64 = 0

  /// A name for one who waits.
  mutating func nextPlace() -> UInt64 {
    lastPlace += 1
    return lastPlace
  }

  mutating func take(_ notice: ClientNotice) {
    switch notice {
    case .watch(let id, let news): deliver(news, of: id)
    case .lockLost(let token, let loss):
      if losses.count == 1000 { losses.removeFirst(500) }
      losses.append((token, loss))
      for (place, waiter) in lossWaiters where waiter.token == token {
        lossWaiters[place] = nil
        waiter.continuation.resume(returning: loss)
      }
    case .leaseEnded(let lease):
      if leases[lease] != nil { leases[lease] = true }
      for (place, waiter) in endWaiters where waiter.lease == lease {
        endWaiters[place] = nil
        waiter.continuation.resume(returning: true)
      }
    case .sessionEnded: break
    }
  }

  /// The client is closed: nobody will be told anything more.
  mutating func endAll() {
    for waiter in lossWaiters.values { waiter.continuation.resume(returning: nil) }
    for waiter in endWaiters.values { waiter.continuation.resume(returning: false) }
    for mailbox in mailboxes.values { mailbox.reader?.resume(returning: nil) }
    lossWaiters = [:]
    endWaiters = [:]
    mailboxes = [:]
  }

  mutating func stopWaiting(at place: UInt64) {
    lossWaiters.removeValue(forKey: place)?.continuation.resume(returning: nil)
    endWaiters.removeValue(forKey: place)?.continuation.resume(returning: false)
  }

  // MARK: Locks and leases

  /// Why a grant that is not held was lost; nil if it was given back.
  func knownLoss(of token: UInt64) -> ClientNotice.Loss? {
    losses.last { $0.token == token }?.loss
  }

  mutating func waitForLoss(
    of token: UInt64,
    at place: UInt64,
    _ continuation: CheckedContinuation<ClientNotice.Loss?, Never>
  ) {
    lossWaiters[place] = LossWaiter(token: token, continuation: continuation)
  }

  mutating func keep(_ lease: UInt64) { leases[lease] = false }
  mutating func stopKeeping(_ lease: UInt64) { leases[lease] = nil }

  /// Whether a lease has ended; nil while it is kept and lives.
  func hasEnded(_ lease: UInt64) -> Bool? {
    switch leases[lease] {
    case .some(true): true
    case .some(false): nil
    case nil: false
    }
  }

  mutating func waitForEnd(
    of lease: UInt64,
    at place: UInt64,
    _ continuation: CheckedContinuation<Bool, Never>
  ) {
    endWaiters[place] = EndWaiter(lease: lease, continuation: continuation)
  }

  // MARK: Watches

  mutating func open(_ id: WatchID) { mailboxes[id] = Mailbox() }

  mutating func close(_ id: WatchID) {
    mailboxes.removeValue(forKey: id)?.reader?.resume(returning: nil)
  }

  private mutating func deliver(_ news: WatchNews, of id: WatchID) {
    guard let reader = mailboxes[id]?.reader else {
      mailboxes[id]?.news.append(news)
      return
    }
    mailboxes[id]?.reader = nil
    reader.resume(returning: news)
  }

  func hasNews(of id: WatchID) -> Bool { mailboxes[id]?.news.isEmpty != true }

  /// What came first and was not read.
  mutating func takeNews(of id: WatchID) -> WatchNews? {
    guard mailboxes[id]?.news.isEmpty == false else { return nil }
    return mailboxes[id]?.news.removeFirst()
  }

  mutating func wait(for id: WatchID, _ continuation: CheckedContinuation<WatchNews?, Never>) {
    precondition(mailboxes[id]?.reader == nil, "one task at a time reads a watch")
    mailboxes[id]?.reader = continuation
  }

  mutating func stopReading(_ id: WatchID) {
    mailboxes[id]?.reader?.resume(returning: nil)
    mailboxes[id]?.reader = nil
  }
}
