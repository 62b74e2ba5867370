import Testing

@testable import kvbench

/// The words a load takes, the line it prints and the table that is made of lines.
@Suite struct ReportTests {
  @Test func outstandingTimesConnectionsAreTheClients() throws {
    let options = try LoadOptions(.put, parsing: ["--connections", "8", "--outstanding=125"])
    #expect(options.clients == 1000 && options.connections == 8)
    let clients = try LoadOptions(.put, parsing: ["--clients", "1000"])
    #expect(clients.clients == 1000 && clients.connections == 100)
  }

  @Test(arguments: [
    ["--clients", "none"], ["--clients"], ["clients"], ["--rate", "0"], ["--system", "other"],
    ["--connections", "1", "--outstanding", "513"], ["--system", "redis"], ["--fast"],
  ])
  func whatMakesNoSenseIsRefusedWithASentence(words: [String]) {
    #expect(throws: LoadError.self) { try LoadOptions(.put, parsing: words) }
  }

  @Test func aLineIsJSONThatTheTableReads() {
    var line = JSONLine()
    line.add("tag", "a \"b\"\\")
    line.add("operations", UInt64(12))
    line.add("seconds", 1.5, digits: 2)
    #expect(line.description == #"{"tag":"a \"b\"\\","operations":12,"seconds":1.50}"#)
    let fields = ComparisonTable.fields(of: Substring(line.description))
    #expect(fields == ["tag": "a \"b\"\\", "operations": "12", "seconds": "1.50"])
  }

  @Test func theTableHoldsMediansAndHowManyTimesAsMuchTheFirstHas() {
    let lines: [Substring] = [
      #"{"tag":"roost put:64","per_second":900.0}"#, #"{"tag":"roost put:64","per_second":100.0}"#,
      #"{"tag":"roost put:64","per_second":800.0}"#, #"{"tag":"etcd put:64","per_second":200.0}"#,
      #"{"tag":"etcd put:64","failed":1}"#,
      #"{"tag":"etcd lease","part":"grant","per_second":5.0}"#,
    ]
    #expect(
      ComparisonTable(lines: lines).markdown == """
        | work | | roost | etcd |
        | --- | --- | --: | --: |
        | put:64 | a second | 800 | 200 (4.00 x) |
        | lease grant | a second |  | 5.0 |

        """
    )
  }

  @Test func aStampedValueTellsItsMoment() throws {
    let words = ["--endpoints", "127.0.0.1:1", "--value-bytes", "20"]
    let load = try Load(try LoadOptions(.watch, parsing: words))
    load.readClock()
    load.values.stamp(load.now - 5_000)
    load.tally.beginMeasuring()
    // SAFETY: the bytes are copied while they live.
    let value = unsafe load.values.withNext { unsafe [UInt8]($0) }
    load.didSee(value.span)
    #expect(load.tally.events.count == 1)
    #expect(load.tally.events.maximum == 5_000)
  }
}
