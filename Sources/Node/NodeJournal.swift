internal import RoostJournal
internal import RoostPlatform
internal import RoostRaft
internal import RoostReplica
internal import RoostStateMachine
internal import RoostWire

/// The node's journal over the files of its data directory, as a turn of the loop uses it.
struct NodeJournal {
  private let disk: FileDisk
  private let journal: Journal
  let recovered: Recovered

  /// Opens the directory; makes the journal in it, if that is allowed and there is none.
  init(
    at path: String,
    as identity: JournalIdentity,
    for configuration: NodeConfiguration
  ) throws(NodeError) {
    let mayStart = configuration.mayFound || configuration.mayJoin
    // A directory that founds a cluster has incarnation 0, and no other has.
    let incarnation = configuration.mayJoin ? Machine.randomBits() | 1 : 0
    do throws(DiskError) {
      disk = try FileDisk(at: path, ring: configuration.mayUseRing)
    } catch {
      throw .storage("\(error)")
    }
    let exists: Bool
    do throws(JournalError) {
      exists = try Journal.exists(on: disk)
      guard exists || mayStart else { throw JournalError.identityMissing }
      (journal, recovered) = try Journal.open(
        on: disk,
        as: identity,
        incarnation: Incarnation(incarnation),
        settings: JournalSettings(segmentByteCount: configuration.limits.segmentBytes)
      )
    } catch {
      guard error == .identityMissing, !mayStart else { throw .storage("\(path): \(error)") }
      throw .storage(
        """
        \(path) holds no log. If this cluster is started for the first time, say so with --found. If this member has lost its disk \
        it must not come back under its old number: it may have forgotten a vote. Replace it by a new member
        """
      )
    }
  }

  /// How writes get onto the disk, for status and logs.
  var backEnd: String { "\(disk.backEnd)" }

  func register(on loop: EventLoop, token: UInt64) throws(NodeError) {
    do throws(SystemError) {
      try loop.register(disk.notificationDescriptor, token: token)
    } catch {
      throw .system("\(error)")
    }
  }

  /// False while the disk is full and what room is left is kept for votes and the handing over of leadership.
  var admitsRequests: Bool { journal.admitsWrites }

  /// Tries again what a full disk refused.
  func retry() { journal.retry() }

  func clearNotification() { disk.clearNotification() }

  func append(_ write: Write) {
    journal.append(
      ticket: write.ticket.rawValue,
      hardState: write.hardState,
      restartAfter: write.restart?.mark.position,
      truncateFrom: write.truncateFrom,
      entries: write.entries
    )
  }

  /// What the disk has done since the last call.
  func poll() throws(NodeError) -> JournalReport {
    let report = journal.poll()
    if let failure = report.failure { throw .storage("the log can't be written: \(failure)") }
    return report
  }

  // MARK: Snapshots

  func save(_ snapshot: SnapshotToSave) {
    let label = SnapshotLabel(mark: snapshot.mark, stateHash: snapshot.state.stateHash)
    journal.saveSnapshot(label, from: StateSource(writer: SnapshotWriter(of: snapshot.state)))
  }

  func bytes(for read: SnapshotRead) -> [UInt8]? {
    journal.snapshotBytes(of: read.snapshot, at: read.offset, byteCount: read.byteCount)
  }

  /// Stores the next part of a snapshot from the leader; false if it is of no use.
  func receive(_ chunk: SnapshotChunk) -> Bool {
    do throws(SnapshotRefusal) {
      try journal.receive(chunk.bytes, at: chunk.offset, of: chunk.snapshot)
      return true
    } catch {
      return false
    }
  }

  /// The state in the newest snapshot.
  func loadState() throws(NodeError) -> ReplicatedState {
    guard var reader = journal.readSnapshot() else {
      throw .storage("the snapshot that should be loaded is not there")
    }
    var state = RoostStateMachine.SnapshotReader()
    do throws(JournalError) {
      while let piece = try reader.nextPiece() {
        do throws(WireError) {
          try state.add(piece)
        } catch {
          throw .contradiction(Damage(file: "snapshot", offset: 0, reason: "\(error)"))
        }
      }
    } catch {
      throw .storage("\(error)")
    }
    do throws(WireError) {
      return try state.finish()
    } catch {
      throw .storage("the snapshot's state is not what was written: \(error)")
    }
  }
}

/// The pieces of a state, for whichever thread writes them.
private struct StateSource: SnapshotSource {
  var writer: SnapshotWriter

  mutating func nextPiece() -> [UInt8]? { writer.nextChunk() }
}

/// How a node finds itself again when it starts.
extension Shell {
  static func recover(
    _ configuration: NodeConfiguration,
    _ checked: CheckedConfiguration,
    now: Instant
  ) throws(NodeError) -> (NodeJournal, Replica) {
    let settings = try settings(for: configuration.timing)
    let identity = JournalIdentity(
      cluster: ClusterID(configuration.cluster),
      node: NodeID(configuration.id)
    )
    let journal = try NodeJournal(
      at: configuration.dataDirectory,
      as: identity,
      for: configuration
    )
    for finding in journal.recovered.findings { configuration.log?(.warning, "\(finding)") }
    guard journal.recovered.incarnation != .zero || configuration.peers[configuration.id] != nil
    else {
      throw .configuration(
        "\(configuration.dataDirectory) belongs to a founding member: start it with --peers, as it was founded"
      )
    }
    let restored = restored(from: journal.recovered, checked)
    var replica = Replica(
      id: NodeID(configuration.id),
      settings: settings,
      restored: restored,
      state: restored.snapshot == nil ? ReplicatedState() : try journal.loadState(),
      random: SplitMix64(seed: Machine.randomBits()),
      now: now,
      snapshotByteCount: configuration.limits.snapshotBytes
    )
    replica.limits.watches = configuration.limits.watches
    replica.limits.watchesOfConnection = configuration.limits.watchesOfConnection
    let (term, count) = (restored.hardState.term, restored.entries.count)
    configuration.log?(
      .info,
      """
      member \(configuration.id) starts in term \(term) with a snapshot through \
      \(restored.mark.index) and \(count) log entries, written through \(journal.backEnd)
      """
    )
    if let part = restored.incoming {
      let whole = part.snapshot
      configuration.log?(
        .info,
        "has \(part.byteCount) of \(whole.byteCount) bytes of a snapshot through \(whole.mark.index) from before"
      )
    }
    return (journal, replica)
  }

  private static func restored(
    from recovered: Recovered,
    _ checked: CheckedConfiguration
  ) -> Restored {
    let members = checked.members.map { member in
      Member(NodeID(member.id), contact: Array("\(member.address)".utf8))
    }
    // Who has joined learns from the log who the members are, and never takes itself for a founder.
    let isFounder = recovered.incarnation == .zero
    let founding = SnapshotMark(founding: isFounder ? Membership(founding: members) : .none)
    return Restored(
      incarnation: recovered.incarnation,
      hardState: recovered.hardState,
      mark: recovered.snapshot?.label.mark ?? founding,
      entries: recovered.entries,
      snapshot: recovered.snapshot?.descriptor,
      incoming: recovered.incoming,
      promised: recovered.promised ?? .start
    )
  }

  private static func settings(for timing: NodeTiming) throws(NodeError) -> Settings {
    var settings = Settings()
    settings.heartbeatInterval = timing.heartbeat
    settings.electionTimeout = timing.election...(timing.election * 2)
    settings.commitNoticeDelay = min(settings.commitNoticeDelay, timing.heartbeat)
    do throws(SettingsError) {
      try settings.validate()
    } catch {
      throw .configuration("\(error)")
    }
    return settings
  }
}
