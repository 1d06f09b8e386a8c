// A load of new TCP connections, as many as the machine gives, on threads that block: no poller, no goroutine for
// each connection. Meant for servers in fast mode, whose greeting is the address at which they were reached.
package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

type loadArgs struct {
	Namespace string `json:"namespace"`
	Address   string `json:"address"`
	Port      int    `json:"port"`
	// Source addresses, taken in turn; none leaves the choice to the kernel.
	Sources   []string `json:"sources"`
	Threads   int      `json:"threads"`
	TimeoutMs int      `json:"timeoutMs"`
	// Upper bound of new connections a second over all threads; 0: none.
	PerSecond int `json:"perSecond"`
}

// absence of an endpoint: from when it was taken away until when it was back (0: it is not).
type absence struct{ from, until int64 }

type load struct {
	args     loadArgs
	begun    int64
	stopping atomic.Bool
	group    sync.WaitGroup
	count    atomic.Int64
	lost     atomic.Int64

	lock     sync.Mutex
	absences map[string]*atomic.Pointer[absence]
	total    loadResult
	times    []uint32
}

type staleness struct {
	Count    int   `json:"count"`
	OldestUs int64 `json:"oldestUs"`
}

type failure struct {
	AtUs int64  `json:"atUs"`
	Kind string `json:"kind"`
	// Duration until it was given up.
	Us    int64  `json:"us"`
	Error string `json:"error"`
}

type loadResult struct {
	Connections int64   `json:"connections"`
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"perSecond"`
	// Answers by the address that answered.
	Endpoints map[string]int64 `json:"endpoints"`
	// Connections that were not answered, by kind.
	Lost map[string]int64 `json:"lost"`
	// The first hundred of them.
	Failures []failure `json:"failures"`
	// Connections begun while their endpoint was marked as away, by endpoint.
	Stale map[string]staleness `json:"stale"`
	// Connect to first byte, microseconds, of a sample.
	P50Us uint32 `json:"p50Us"`
	P90Us uint32 `json:"p90Us"`
	P99Us uint32 `json:"p99Us"`
}

const failuresKept = 100

// Source ports of loads.
const (
	firstPort = 10000
	lastPort  = 64999
)

func startLoad(args loadArgs) (any, error) {
	address, err := netip.ParseAddr(args.Address)
	if err != nil {
		return nil, err
	}
	sources := make([]netip.Addr, 0, len(args.Sources))
	for _, text := range args.Sources {
		source, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	made := &load{args: args, absences: map[string]*atomic.Pointer[absence]{}, begun: nowUs()}
	made.total = loadResult{Endpoints: map[string]int64{}, Lost: map[string]int64{}, Stale: map[string]staleness{}}
	failed := make(chan error, max(args.Threads, 1))
	for number := range max(args.Threads, 1) {
		made.group.Add(1)
		go made.run(number, address, sources, failed)
	}
	for range max(args.Threads, 1) {
		if err := <-failed; err != nil {
			made.stopping.Store(true)
			return nil, err
		}
	}
	return open(made), nil
}

func (l *load) run(number int, address netip.Addr, sources []netip.Addr, entered chan<- error) {
	defer l.group.Done()
	// Never unlocked: see namespace.go.
	runtime.LockOSThread()
	if l.args.Namespace != "" {
		if err := setns(l.args.Namespace); err != nil {
			entered <- err
			return
		}
	}
	entered <- nil
	target := sockaddr(address, l.args.Port)
	timeout := syscall.NsecToTimeval(int64(max(l.args.TimeoutMs, 1)) * 1e6)
	own := loadResult{Endpoints: map[string]int64{}, Lost: map[string]int64{}, Stale: map[string]staleness{}}
	known := map[string]*atomic.Pointer[absence]{}
	var times []uint32
	buffer := make([]byte, 128)
	paceUs := int64(0)
	if l.args.PerSecond > 0 {
		paceUs = int64(max(l.args.Threads, 1)) * 1_000_000 / int64(l.args.PerSecond)
	}
	next := nowUs()
	unspecified := netip.IPv4Unspecified()
	if address.Is6() {
		unspecified = netip.IPv6Unspecified()
	}
	if len(sources) == 0 {
		sources = []netip.Addr{unspecified}
	}
	// Ports in turn, each thread its own: none comes again before the node has forgotten its last connection. A tuple
	// that connection tracking still knows may be taken for the old connection and go where that one went.
	threads := max(l.args.Threads, 1)
	ports := newTurns(firstPort+number, lastPort, threads)
	for turn := number; !l.stopping.Load(); turn++ {
		if paceUs > 0 {
			if wait := next - nowUs(); wait > 0 {
				pause := syscall.NsecToTimespec(wait * 1000)
				_ = syscall.Nanosleep(&pause, nil)
			}
			next += paceUs
		}
		begun := nowUs()
		source := sources[turn%len(sources)]
		size, err := once(address.Is6(), sockaddr(source, ports.next()), target, &timeout, buffer)
		for err == errPortTaken {
			size, err = once(address.Is6(), sockaddr(source, ports.next()), target, &timeout, buffer)
		}
		took := nowUs() - begun
		own.Connections++
		l.count.Add(1)
		if err != nil {
			kind := kindOf(err)
			own.Lost[kind]++
			l.lost.Add(1)
			if len(own.Failures) < failuresKept {
				own.Failures = append(own.Failures, failure{begun, kind, took, err.Error()})
			}
			continue
		}
		if own.Connections%16 == 0 {
			times = append(times, uint32(took))
		}
		// The look-up by bytes does not allocate.
		away, seen := known[string(buffer[:size])]
		if !seen {
			away = l.absence(string(buffer[:size]))
			known[string(buffer[:size])] = away
		}
		own.Endpoints[string(buffer[:size])]++
		if gone := away.Load(); gone != nil && begun > gone.from && (gone.until == 0 || begun < gone.until) {
			stale := own.Stale[string(buffer[:size])]
			own.Stale[string(buffer[:size])] = staleness{stale.Count + 1, max(stale.OldestUs, begun-gone.from)}
		}
	}
	l.add(own, times)
}

// turns goes round a range in steps.
type turns struct{ first, last, step, at int }

func newTurns(first, last, step int) *turns { return &turns{first, last, step, first} }

func (t *turns) next() int {
	port := t.at
	t.at += t.step
	if t.at > t.last {
		t.at = t.first
	}
	return port
}

var errPortTaken = errors.New("the source port is taken")

// once makes one connection and reads the greeting, without its newline, into the buffer.
func once(six bool, source, target syscall.Sockaddr, timeout *syscall.Timeval, buffer []byte) (int, error) {
	family := syscall.AF_INET
	if six {
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, timeout)
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, timeout)
	// A reset on close: no port stays busy.
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	switch err := syscall.Bind(fd, source); err {
	case nil:
	case syscall.EADDRINUSE:
		return 0, errPortTaken
	default:
		return 0, err
	}
	// The runtime's own signals may interrupt a call that has a time-out; asked again, it goes on waiting.
	err = syscall.Connect(fd, target)
	for err == syscall.EINTR {
		err = syscall.Connect(fd, target)
	}
	switch err {
	case nil, syscall.EISCONN:
	case syscall.EINPROGRESS, syscall.EALREADY:
		return 0, syscall.ETIMEDOUT
	default:
		return 0, err
	}
	size, err := syscall.Read(fd, buffer)
	for err == syscall.EINTR {
		size, err = syscall.Read(fd, buffer)
	}
	switch {
	case err != nil:
		return 0, err
	case size == 0:
		return 0, syscall.ECONNRESET
	}
	return size - 1, nil
}

func (l *load) absence(endpoint string) *atomic.Pointer[absence] {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.absences[endpoint] == nil {
		l.absences[endpoint] = &atomic.Pointer[absence]{}
	}
	return l.absences[endpoint]
}

func (l *load) add(own loadResult, times []uint32) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.total.Connections += own.Connections
	for endpoint, count := range own.Endpoints {
		l.total.Endpoints[endpoint] += count
	}
	for kind, count := range own.Lost {
		l.total.Lost[kind] += count
	}
	for endpoint, stale := range own.Stale {
		sum := l.total.Stale[endpoint]
		l.total.Stale[endpoint] = staleness{sum.Count + stale.Count, max(sum.OldestUs, stale.OldestUs)}
	}
	l.total.Failures = append(l.total.Failures, own.Failures...)
	l.times = append(l.times, times...)
}

func (l *load) peek() any {
	seconds := float64(nowUs()-l.begun) / 1e6
	return map[string]any{"connections": l.count.Load(), "lost": l.lost.Load(), "seconds": seconds}
}

func (l *load) close() any {
	l.stopping.Store(true)
	l.group.Wait()
	l.total.Seconds = float64(nowUs()-l.begun) / 1e6
	l.total.PerSecond = float64(l.total.Connections) / l.total.Seconds
	l.total.Failures = l.total.Failures[:min(len(l.total.Failures), failuresKept)]
	if l.total.Failures == nil {
		l.total.Failures = []failure{}
	}
	slices.Sort(l.times)
	at := func(share float64) uint32 {
		if len(l.times) == 0 {
			return 0
		}
		return l.times[int(share*float64(len(l.times)-1))]
	}
	l.total.P50Us, l.total.P90Us, l.total.P99Us = at(0.5), at(0.9), at(0.99)
	return l.total
}

type markArgs struct {
	Handle int `json:"handle"`
	// Addresses with port that have gone, or are back, as the servers tell them.
	Away []string `json:"away"`
	Back []string `json:"back"`
	// When, in microseconds of the monotonic clock; 0: now.
	AtUs int64 `json:"atUs"`
}

func markEndpoints(args markArgs) (any, error) {
	found, err := find(args.Handle)
	if err != nil {
		return nil, err
	}
	l, ok := found.(*load)
	if !ok {
		return nil, fmt.Errorf("handle %d is no load", args.Handle)
	}
	at := args.AtUs
	if at == 0 {
		at = nowUs()
	}
	for _, endpoint := range args.Away {
		l.absence(endpoint).Store(&absence{from: at})
	}
	for _, endpoint := range args.Back {
		pointer := l.absence(endpoint)
		if gone := pointer.Load(); gone != nil {
			pointer.Store(&absence{gone.from, at})
		}
	}
	return true, nil
}
