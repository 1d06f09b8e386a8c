// Clients: one connection or datagram, or many, and what became of each.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

type dialArgs struct {
	Namespace string `json:"namespace"`
	Protocol  string `json:"protocol"`
	Address   string `json:"address"`
	Port      int    `json:"port"`
	// Source address and port; empty and 0 leave the choice to the kernel.
	Source     string `json:"source"`
	SourcePort int    `json:"sourcePort"`
	TimeoutMs  int    `json:"timeoutMs"`
	// Bytes to send: the datagram's size, or what is to come back over a TCP connection after the greeting.
	Size int `json:"size"`
	// Do not fragment; without it datagrams may be taken apart on the way.
	DF bool `json:"df"`
}

// outcome of one try. Kinds: answered; refused (port unreachable, or a reset in answer to the first packet); silence;
// unreachable (another ICMP error, or no route); reset (after the connection stood); too-big; denied (by a rule for
// our own packets); failed (anything else, see error).
type outcome struct {
	Kind string `json:"kind"`
	// Who answered, where it was reached and whom it saw.
	Self  string `json:"self,omitempty"`
	Local string `json:"local,omitempty"`
	Peer  string `json:"peer,omitempty"`
	// Our own end.
	Source string `json:"source,omitempty"`
	Us     int64  `json:"us"`
	// Bytes that came back (TCP), or that the server received (UDP).
	Received int `json:"received,omitempty"`
	// What the kernel believes of the path after the try; 0 where it cannot tell.
	Mtu   int    `json:"mtu,omitempty"`
	Error string `json:"error,omitempty"`
}

func kindOf(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case errors.Is(err, io.EOF):
		return "reset"
	case !errors.As(err, &errno):
		return "failed"
	}
	switch errno {
	case syscall.ECONNREFUSED:
		return "refused"
	case syscall.ETIMEDOUT, syscall.EAGAIN:
		return "silence"
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.ENONET, syscall.ENOPROTOOPT, syscall.EPROTO, syscall.EACCES:
		return "unreachable"
	case syscall.ECONNRESET, syscall.EPIPE:
		return "reset"
	case syscall.EMSGSIZE:
		return "too-big"
	case syscall.EPERM:
		return "denied"
	}
	return "failed"
}

// client is a connected socket on the runtime's poller.
type client struct {
	file *os.File
	fd   int
	six  bool
	udp  bool
}

// connect makes a socket in the namespace and connects it, or rather begins to.
func connect(args dialArgs) (*client, error) {
	address, err := netip.ParseAddr(args.Address)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket(args.Namespace, args.Protocol, address, syscall.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	made := &client{fd: fd, six: address.Is6(), udp: args.Protocol == "UDP"}
	if err := made.prepare(args); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	err = syscall.Connect(fd, sockaddr(address, args.Port))
	if err != nil && err != syscall.EINPROGRESS {
		syscall.Close(fd)
		return nil, err
	}
	made.file = os.NewFile(uintptr(fd), "client")
	return made, nil
}

func (c *client) prepare(args dialArgs) error {
	discover := syscall.IP_PMTUDISC_WANT
	if c.udp {
		discover = syscall.IP_PMTUDISC_DONT
	}
	if args.DF {
		discover = syscall.IP_PMTUDISC_DO
	}
	if c.six {
		_ = syscall.SetsockoptInt(c.fd, syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, discover)
	} else {
		_ = syscall.SetsockoptInt(c.fd, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, discover)
	}
	if args.Source == "" && args.SourcePort == 0 {
		return nil
	}
	source := netip.IPv4Unspecified()
	if c.six {
		source = netip.IPv6Unspecified()
	}
	if args.Source != "" {
		parsed, err := netip.ParseAddr(args.Source)
		if err != nil {
			return err
		}
		source = parsed
	}
	_ = syscall.SetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(c.fd, sockaddr(source, args.SourcePort)); err != nil {
		return fmt.Errorf("bind to %s port %d: %w", args.Source, args.SourcePort, err)
	}
	return nil
}

// established waits until the connection stands.
func (c *client) established() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		code, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err != nil {
			failure = err
			return true
		}
		if code != 0 {
			failure = syscall.Errno(code)
			return true
		}
		_, err = syscall.Getpeername(int(fd))
		return err == nil
	})
	if failure != nil {
		return failure
	}
	return err
}

// hangUp closes with a reset, so that no port of the client stays busy.
func (c *client) hangUp() {
	if !c.udp {
		_ = syscall.SetsockoptLinger(c.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
	c.file.Close()
}

func (c *client) mtu() int {
	if c.six {
		value, _ := syscall.GetsockoptInt(c.fd, syscall.IPPROTO_IPV6, 24)
		return value
	}
	value, _ := syscall.GetsockoptInt(c.fd, syscall.IPPROTO_IP, 14)
	return value
}

func dial(args dialArgs) outcome {
	begun := nowUs()
	result, err := exchange(args)
	result.Us = nowUs() - begun
	if err != nil {
		result.Kind, result.Error = kindOf(err), err.Error()
	} else {
		result.Kind = "answered"
	}
	return result
}

func exchange(args dialArgs) (result outcome, err error) {
	timeout := time.Duration(args.TimeoutMs) * time.Millisecond
	if timeout == 0 {
		timeout = time.Second
	}
	deadline := time.Now().Add(timeout)
	c, err := connect(args)
	if err != nil {
		return result, err
	}
	defer c.hangUp()
	if err := c.file.SetDeadline(deadline); err != nil {
		return result, err
	}
	// A socket that was refused does not say any more where it was.
	own := c.own()
	defer func() { result.Mtu, result.Source = c.mtu(), own }()
	if c.udp {
		return c.ask(args.Size)
	}
	if err := c.established(); err != nil {
		return result, err
	}
	reader := bufio.NewReaderSize(c.file, 65536)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return result, err
	}
	result = c.read(line)
	if args.Size == 0 {
		return result, nil
	}
	go func() { _, _ = c.file.Write(make([]byte, args.Size)) }()
	received, err := io.CopyN(io.Discard, reader, int64(args.Size))
	result.Received = int(received)
	return result, err
}

// ask sends one datagram and waits for the answer.
func (c *client) ask(size int) (outcome, error) {
	if _, err := c.file.Write(make([]byte, max(size, 1))); err != nil {
		return outcome{}, err
	}
	data := make([]byte, 2048)
	received, err := c.file.Read(data)
	if err != nil {
		return outcome{}, err
	}
	return c.read(data[:received]), nil
}

func (c *client) read(line []byte) outcome {
	result := outcome{}
	var greeted greeting
	if json.Unmarshal(line, &greeted) == nil {
		result.Self, result.Local, result.Peer, result.Received = greeted.Self, greeted.Local, greeted.Peer, greeted.Size
	} else {
		// A fast server says only where it was reached.
		text := string(line[:max(len(line)-1, 0)])
		result.Self, result.Local = text, text
	}
	result.Source = c.own()
	return result
}

// own is the address and port of our end.
func (c *client) own() string {
	at, err := syscall.Getsockname(c.fd)
	if err != nil {
		return ""
	}
	return textOf(at)
}

type manyArgs struct {
	dialArgs
	Count    int `json:"count"`
	Parallel int `json:"parallel"`
}

type tally struct {
	// Answers by the name of who answered, by the address where it was reached, and by the peer's address that it saw.
	Self  map[string]int `json:"self"`
	Local map[string]int `json:"local"`
	Peer  map[string]int `json:"peer"`
	// The same by both: name, then peer's address.
	Seen map[string]map[string]int `json:"seen"`
	// All tries by kind of outcome.
	Kinds map[string]int `json:"kinds"`
	// The first of those that nobody answered.
	Failures []outcome `json:"failures"`
}

const triesKept = 10

func many(args manyArgs) (any, error) {
	result := tally{
		Self:     map[string]int{},
		Local:    map[string]int{},
		Peer:     map[string]int{},
		Seen:     map[string]map[string]int{},
		Kinds:    map[string]int{},
		Failures: []outcome{},
	}
	var lock sync.Mutex
	var group sync.WaitGroup
	turns := make(chan struct{}, args.Count)
	for range args.Count {
		turns <- struct{}{}
	}
	close(turns)
	for range max(args.Parallel, 1) {
		group.Add(1)
		go func() {
			defer group.Done()
			for range turns {
				one := dial(args.dialArgs)
				lock.Lock()
				result.Kinds[one.Kind]++
				if one.Kind != "answered" && len(result.Failures) < triesKept {
					result.Failures = append(result.Failures, one)
				}
				if one.Kind == "answered" {
					result.Self[one.Self]++
					result.Local[one.Local]++
					if peer, err := netip.ParseAddrPort(one.Peer); err == nil {
						result.Peer[peer.Addr().String()]++
						if result.Seen[one.Self] == nil {
							result.Seen[one.Self] = map[string]int{}
						}
						result.Seen[one.Self][peer.Addr().String()]++
					}
				}
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	return result, nil
}
