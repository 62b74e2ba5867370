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

  init(at path: String, as identity: JournalIdentity) throws(NodeError) {
    do throws(DiskError) {
      disk = try FileDisk(at: path)
    } catch {
      throw .storage("\(error)")
    }
    do throws(JournalError) {
      (journal, recovered) = try Journal.open(on: disk, as: identity)
    } catch {
      throw .storage("\(path): \(error)")
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

  func append(_ write: Write) {
    journal.append(
      ticket: write.ticket.rawValue,
      hardState: write.hardState,
      restartAfter: write.restart?.mark.position,
      truncateFrom: write.truncateFrom,
      entries: write.entries
    )
  }

  /// The newest write that has become durable since the last call.
  func takeDurable() throws(NodeError) -> WriteTicket? {
    let report = journal.poll()
    if let failure = report.failure { throw .storage("the log can't be written: \(failure)") }
    return report.durable.map { WriteTicket($0) }
  }
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
    let journal = try NodeJournal(at: configuration.dataDirectory, as: identity)
    let recovered = journal.recovered
    for finding in recovered.findings { configuration.log?(.warning, "\(finding)") }
    let members = checked.members.map { member in
      Member(NodeID(member.id), contact: Array("\(member.address)".utf8))
    }
    let restored = Restored(
      hardState: recovered.hardState,
      mark: SnapshotMark(founding: Membership(founding: members)),
      entries: recovered.entries,
      promised: recovered.promised ?? .start
    )
    let replica = Replica(
      id: NodeID(configuration.id),
      settings: settings,
      restored: restored,
      state: ReplicatedState(),
      random: SplitMix64(seed: Machine.randomBits()),
      now: now
    )
    let count = recovered.entries.count
    configuration.log?(
      .info,
      "member \(configuration.id) starts in term \(recovered.hardState.term) with \(count) log entries"
    )
    return (journal, replica)
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
