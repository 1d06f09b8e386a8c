// Sockets and settings of other network namespaces.
//
// One thread for each namespace enters it and stays there; it makes sockets, which belong to the namespace for as
// long as they live, wherever they are used. All other threads stay in the namespace that the process was started in.
package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

const netnsFolder = "/run/netns/"

var (
	roomsLock sync.Mutex
	rooms     = map[string]chan func(){}
)

// within runs work on a thread that is in the namespace; the empty name is our own namespace.
func within(namespace string, work func() error) error {
	if namespace == "" {
		return work()
	}
	room, err := enter(namespace)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	room <- func() { done <- work() }
	return <-done
}

func enter(namespace string) (chan func(), error) {
	roomsLock.Lock()
	defer roomsLock.Unlock()
	if room, known := rooms[namespace]; known {
		return room, nil
	}
	room := make(chan func())
	entered := make(chan error)
	go func() {
		// Never unlocked: the thread ends with its goroutine and serves nobody else.
		runtime.LockOSThread()
		if err := setns(namespace); err != nil {
			entered <- err
			return
		}
		entered <- nil
		for work := range room {
			work()
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	rooms[namespace] = room
	return room, nil
}

func setns(namespace string) error {
	if strings.ContainsAny(namespace, "/\x00") {
		return fmt.Errorf("%q is no name of a namespace", namespace)
	}
	fd, err := syscall.Open(netnsFolder+namespace, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	defer syscall.Close(fd)
	if _, _, errno := syscall.RawSyscall(sysSetns, uintptr(fd), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("cannot enter namespace %s: %w", namespace, errno)
	}
	return nil
}

type sysctlArgs struct {
	Namespace string      `json:"namespace"`
	Values    [][2]string `json:"values"`
}

// setSysctls writes settings below /proc/sys; keys have slashes. A key that begins with "-" may be missing.
func setSysctls(args sysctlArgs) (any, error) {
	return true, within(args.Namespace, func() error {
		for _, pair := range args.Values {
			key, optional := strings.CutPrefix(pair[0], "-")
			if err := os.WriteFile("/proc/sys/"+key, []byte(pair[1]), 0o644); err != nil && !optional {
				return fmt.Errorf("namespace %s: %w", args.Namespace, err)
			}
		}
		return nil
	})
}

// protocols by name: kind of socket, and protocol number.
var protocols = map[string][2]int{
	"TCP":  {syscall.SOCK_STREAM, syscall.IPPROTO_TCP},
	"UDP":  {syscall.SOCK_DGRAM, syscall.IPPROTO_UDP},
	"SCTP": {syscall.SOCK_STREAM, 132},
}

// newSocket makes a socket in the namespace, of the family of the address.
func newSocket(namespace, protocol string, address netip.Addr, flags int) (fd int, err error) {
	kind, known := protocols[protocol]
	if !known {
		return 0, fmt.Errorf("no such protocol: %s", protocol)
	}
	family := syscall.AF_INET
	if address.Is6() {
		family = syscall.AF_INET6
	}
	err = within(namespace, func() error {
		fd, err = syscall.Socket(family, kind[0]|syscall.SOCK_CLOEXEC|flags, kind[1])
		return err
	})
	if err == nil && family == syscall.AF_INET6 {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
	}
	return fd, err
}

func sockaddr(address netip.Addr, port int) syscall.Sockaddr {
	if address.Is6() {
		return &syscall.SockaddrInet6{Port: port, Addr: address.As16()}
	}
	return &syscall.SockaddrInet4{Port: port, Addr: address.As4()}
}

func textOf(address syscall.Sockaddr) string {
	switch known := address.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(known.Addr), uint16(known.Port)).String()
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(known.Addr), uint16(known.Port)).String()
	}
	return ""
}
