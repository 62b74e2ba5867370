import Foundation
@testable import RoostClient
import RoostClientCore
import RoostPlatform
import RoostSimulation
import RoostWire
import Synchronization
import Testing

/// Clients that work on a few keys at once and write down what they asked and heard, for the simulator's judge.
final class RecordedClients: Sendable {
  private struct Record {
    var calls: [String: [RegisterCall]] = [:]
    var answered = 0
    var unknown = 0
  }

  private let record = Mutex(Record())
  private let isOver = Atomic(false)
  private let keys: [String]
  private let endpoints: [SocketAddress]

  init(of servers: Servers, keys: Int = 6) {
    self.keys = (0..<keys).map { "key \($0)" }
    endpoints = servers.endpoints.compactMap { SocketAddress($0) }
  }

  var answered: Int { record.withLock { $0.answered } }
  var unknown: Int { record.withLock { $0.unknown } }

  /// Lets `count` clients work while `body` does what it wants to the servers.
  func work(_ count: Int, while body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...count { group.addTask { try await self.run(number) } }
      do {
        try await body()
      } catch {
        isOver.store(true, ordering: .relaxed)
        throw error
      }
      isOver.store(true, ordering: .relaxed)
      try await group.waitForAll()
    }
  }

  private func run(_ number: Int) async throws {
    var settings = ClientSettings()
    settings.unreachableRounds = nil
    settings.identity = .session(ttl: .seconds(60))
    let engine = try ClientEngine(addresses: endpoints, settings: settings)
    try engine.start()
    var value = Int64(number) * 1_000_000
    while !isOver.load(ordering: .relaxed) {
      let key = keys[.random(in: keys.indices)]
      value += 1
      await call(Self.anyAction(value), on: key, engine)
      try await Task.sleep(for: .milliseconds(Int.random(in: 1...8)))
    }
    await engine.close()
    engine.stop()
  }

  private static func anyAction(_ value: Int64) -> RegisterCall.Action {
    switch Int.random(in: 0..<10) {
    case 0..<4: .read
    case 4..<7: .put(value)
    case 7: .putIf(.absent, value)
    case 8: .add(1)
    default: .delete
    }
  }

  private func call(_ action: RegisterCall.Action, on key: String, _ engine: ClientEngine) async {
    let start = Machine.monotonicNanoseconds()
    let result = await engine.call(action.call(on: Array(key.utf8)), within: .seconds(8))
    let end = Machine.monotonicNanoseconds()
    let outcome: RegisterCall.Outcome
    switch result {
    case .answered(let bytes):
      guard let reply = try? Reply(decodingAll: bytes), let heard = action.outcome(of: reply) else {
        return  // It surely did not happen, or was a read that was not answered.
      }
      outcome = heard
    case .failed(let failure):
      guard failure.mayHaveExecuted, action != .read else { return }
      outcome = .unknown
    }
    record.withLock { record in
      if outcome == .unknown { record.unknown += 1 } else { record.answered += 1 }
      let last = outcome == .unknown ? UInt64.max : end
      record.calls[key, default: []].append(RegisterCall(action, outcome, during: start...last))
    }
  }

  /// Refuses what can't be explained by requests that take effect one at a time.
  func judge() {
    for (key, calls) in record.withLock({ $0.calls }) {
      switch RegisterChecker.judge(calls) {
      case .explained: break
      case .undecided: Issue.record("\(key): too much was open at once to decide")
      case .refused(let refusal):
        let near = calls[max(0, refusal.call - 12)...min(refusal.call + 2, calls.count - 1)]
        Issue.record(
          "\(key): \(calls[refusal.call]) can't be explained from \(refusal.possible); \(near)"
        )
      }
    }
  }
}

extension RegisterCall.Action {
  func call(on key: [UInt8]) -> CallKind {
    switch self {
    case .read: .query(.linearizable, .get(Get(key: key)))
    case .put(let value): .command(.operation(.put(Put(key: key, value: text(value)))))
    case .putIf(_, let value):
      .command(
        .operation(
          .put(Put(key: key, value: text(value), options: WriteOptions(condition: .absent)))
        )
      )
    case .add(let number): .command(.operation(.update(Update(key: key, .add(number)))))
    case .delete: .command(.operation(.delete(Delete(key: key))))
    }
  }

  private func text(_ value: Int64) -> [UInt8] { Array("\(value)".utf8) }

  /// What a reply says of this action; nil if it did not happen.
  func outcome(of reply: Reply) -> RegisterCall.Outcome? {
    switch reply {
    case .written(let written):
      return .written(version: written.version, number: written.number)
    case .deleted(let deleted): return .deleted(deleted.count > 0)
    case .value(_, let entry):
      guard let entry else { return .saw(.absent) }
      let value = Int64(String(decoding: entry.value, as: UTF8.self)) ?? 0
      return .saw(RegisterState(value: value, version: entry.version))
    case .failure(let failure):
      if failure.code == .conditionFailed { return .refused }
      return failure.code.execution == .unknown && self != .read ? .unknown : nil
    default: return nil
    }
  }
}
