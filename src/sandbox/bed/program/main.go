// The hands of the packet test bed: servers and clients in many network namespaces, in one process.
//
// It is driven over standard input and output, one JSON object a line: a request {"id", "op", "args"} is
// answered by {"id", "result"} or {"id", "error"}, in whatever order they are done. It ends when its standard input
// does, so it cannot outlive the process that drives it. Times are microseconds of CLOCK_MONOTONIC, which
// process.hrtime in Node reads too.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"unsafe"
)

type request struct {
	ID   int             `json:"id"`
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args"`
}

type answer struct {
	ID     int    `json:"id"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

type operation func(args json.RawMessage) (any, error)

// operations by name; each takes its arguments and answers once.
var operations = map[string]operation{
	"sysctl":    with(setSysctls),
	"serve":     with(serve),
	"relay":     with(relay),
	"dial":      with(func(args dialArgs) (any, error) { return dial(args), nil }),
	"many":      with(many),
	"probe":     with(startProbe),
	"flow":      with(startFlow),
	"hold":      with(startHold),
	"load":      with(startLoad),
	"mark":      with(markEndpoints),
	"peek":      with(func(args handleArgs) (any, error) { return onHandle(args, handle.peek) }),
	"close":     with(closeHandle),
	"monotonic": with(func(struct{}) (any, error) { return nowUs(), nil }),
}

func with[Args any](run func(Args) (any, error)) operation {
	return func(raw json.RawMessage) (any, error) {
		var args Args
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, err
			}
		}
		return run(args)
	}
}

func main() {
	debug.SetGCPercent(400)
	raiseFileLimit()
	var write sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	say := func(what answer) {
		line, err := json.Marshal(what)
		if err != nil {
			line, _ = json.Marshal(answer{ID: what.ID, Error: err.Error()})
		}
		write.Lock()
		defer write.Unlock()
		out.Write(append(line, '\n'))
		out.Flush()
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			fmt.Fprintln(os.Stderr, "not a request:", err)
			os.Exit(1)
		}
		run, known := operations[asked.Op]
		if !known {
			say(answer{ID: asked.ID, Error: "no such operation: " + asked.Op})
			continue
		}
		go func() {
			result, err := run(asked.Args)
			if err != nil {
				say(answer{ID: asked.ID, Error: err.Error()})
				return
			}
			say(answer{ID: asked.ID, Result: result})
		}()
	}
}

func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

func nowUs() int64 {
	var now syscall.Timespec
	// 1 is CLOCK_MONOTONIC.
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano() / 1000
}
