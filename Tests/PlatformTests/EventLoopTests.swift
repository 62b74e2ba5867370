import RoostPlatform
import Testing

/// An actor on a loop, which counts its turns.
private actor Counter: LoopDriver {
  private nonisolated let loop: EventLoop
  private var turns = 0
  private var isEnding = false

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe loop.asUnownedSerialExecutor()
  }

  init() throws {
    loop = try EventLoop()
    try loop.start(named: "test", driving: self)
  }

  func add(_ number: Int) -> Int {
    turns += number
    return turns
  }

  func end() { isEnding = true }

  nonisolated func turn(ready: [Readiness]) -> UInt64? {
    assumeIsolated { $0.isEnding ? nil : .max }
  }
}

@Suite struct EventLoopTests {
  @Test(.timeLimit(.minutes(1)))
  func jobsOfManyTasksRunOneAfterAnother() async throws {
    let counter = try Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<100 { group.addTask { for _ in 0..<100 { _ = await counter.add(1) } } }
    }
    let sum = await counter.add(0)
    #expect(sum == 10_000)
    await counter.end()
  }

  @Test(.timeLimit(.minutes(1)))
  func aCallToALoopThatHasEndedIsStillAnswered() async throws {
    let counter = try Counter()
    await counter.end()
    for number in 1...200 {
      let sum = await counter.add(1)
      #expect(sum == number)
    }
  }
}
