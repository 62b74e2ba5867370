internal import RoostClientCore
internal import RoostWire

/// One key's change, as a watch tells it.
public struct Change: Sendable, Equatable {
  /// What happened to the key.
  public enum Kind: Sendable, Equatable {
    /// It has this value now.
    case put(StoredValue)
    /// It was removed.
    case removed
  }

  /// The key.
  public let key: [UInt8]
  /// What happened to it.
  public let kind: Kind
  /// The store's revision that did it.
  public let revision: UInt64
  /// What was there before, if that was asked for.
  public let previous: StoredValue?

  /// The new value; nil if the key was removed.
  public var value: [UInt8]? {
    if case .put(let stored) = kind { stored.value } else { nil }
  }

  init(_ change: WatchEvent.Change) {
    key = change.entry.key
    kind = change.isRemoval ? .removed : .put(StoredValue(change.entry))
    revision = change.entry.modified.rawValue
    previous = change.previous.map { StoredValue($0) }
  }
}

/// What a watch leaves out and adds.
public struct WatchOptions: Sendable, Hashable {
  /// Puts are not told.
  public var withoutPuts = false
  /// Removals are not told.
  public var withoutRemovals = false
  /// Each change comes with what was there before.
  public var wantsPrevious = false
  /// A key that changed again before it could be told is told once, as it is now.
  public var newestOnly = false

  /// Every change, without what was there before.
  public init() {}
}

/// The changes of some keys, in order, every one once: it goes on by itself when connections break and leaders change.
///
/// It ends with ``ClientError/compacted(oldest:)`` when the history that it still needs is gone, and not before. A reader
/// that falls behind costs a bounded buffer here and nothing at the node. One task reads it.
public struct Watch: AsyncSequence, Sendable {
  /// Changes.
  public typealias Element = Change
  /// Why it ended.
  public typealias Failure = ClientError

  private let handle: WatchHandle

  init(_ handle: WatchHandle) { self.handle = handle }

  /// Reads the changes.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(handle) }

  /// Reads a watch's changes.
  public struct AsyncIterator: AsyncIteratorProtocol {
    /// Changes.
    public typealias Element = Change
    /// Why it ended.
    public typealias Failure = ClientError

    private let handle: WatchHandle
    private var changes: [WatchEvent.Change] = []
    private var place = 0

    init(_ handle: WatchHandle) { self.handle = handle }

    /// The next change; nil once the task is cancelled or the client closed.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(ClientError) -> Change? {
      while place == changes.count {
        guard let news = await handle.next() else { return nil }
        switch news {
        case .started: continue
        case .changes(let changes, _, _):
          self.changes = changes
          place = 0
        case .compacted(let oldest): throw .compacted(oldest: oldest.rawValue)
        case .refused(let failure): throw .refused(RoostClient.Refusal(failure))
        }
      }
      defer { place += 1 }
      return Change(changes[place])
    }
  }
}

/// Ends the watch when nobody can read it any more.
final class WatchHandle: Sendable {
  private let id: WatchID
  private let engine: ClientEngine
  /// The client lives as long as its watches.
  private let cluster: Cluster

  init(_ id: WatchID, _ cluster: Cluster) {
    self.id = id
    self.cluster = cluster
    engine = cluster.engine
  }

  deinit {
    let (engine, id) = (engine, id)
    Task { await engine.cancelWatch(id) }
  }

  func next() async -> WatchNews? { await engine.news(of: id) }
}

extension Cluster {
  /// Watches keys: from a revision on, or from now on.
  ///
  /// - Parameters:
  ///   - keys: What is watched.
  ///   - revision: The first revision that is wanted. Nil: whatever changes after this call has returned.
  ///   - options: What is left out and added.
  /// - Returns: The changes; reading them may throw ``ClientError/compacted(oldest:)``.
  /// - Throws: ``ClientError`` if the present revision can't be found out.
  public func watch(
    _ keys: Keys,
    from revision: UInt64? = nil,
    _ options: WatchOptions = WatchOptions()
  ) async throws(ClientError) -> Watch {
    let start = if let revision { revision } else { try await self.revision() + 1 }
    var wanted = WatchRequest(watch: 0, range: keys.range, start: Revision(max(start, 1)))
    wanted.withoutPuts = options.withoutPuts
    wanted.withoutRemovals = options.withoutRemovals
    wanted.wantsPrevious = options.wantsPrevious
    wanted.newestOnly = options.newestOnly
    guard let id = await engine.watch(wanted) else { throw ClientError(.closed) }
    return Watch(WatchHandle(id, self))
  }
}
