// Echo servers. Each answer says who answers, at which address it was reached and which peer it saw.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type serveArgs struct {
	Namespace string `json:"namespace"`
	// What the server calls itself.
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	// An address, or 0.0.0.0 or :: for all.
	Address string `json:"address"`
	Port    int    `json:"port"`
	// TCP only: greet with the address alone and hang up, as fast as can be, for loads.
	Fast bool `json:"fast"`
	// Do not hang up or answer until so many milliseconds have passed.
	DelayMs int `json:"delayMs"`
}

// greeting is one line of JSON at the start of a TCP connection, and the whole answer to a datagram.
type greeting struct {
	Self  string `json:"self"`
	Local string `json:"local"`
	Peer  string `json:"peer"`
	// Size of the datagram that is answered.
	Size int `json:"size"`
}

type server struct {
	name   string
	stop   func()
	lock   sync.Mutex
	served int64
	open   map[io.Closer]struct{}
}

func (s *server) peek() any {
	s.lock.Lock()
	defer s.lock.Unlock()
	return map[string]int64{"served": s.served, "open": int64(len(s.open))}
}

// close stops listening and cuts every connection, as the end of a pod does.
func (s *server) close() any {
	result := s.peek()
	s.stop()
	s.lock.Lock()
	defer s.lock.Unlock()
	for each := range s.open {
		if connection, ok := each.(*net.TCPConn); ok {
			_ = connection.SetLinger(0)
		}
		each.Close()
	}
	return result
}

func (s *server) enter(connection io.Closer) {
	s.lock.Lock()
	s.served++
	s.open[connection] = struct{}{}
	s.lock.Unlock()
}

func (s *server) leave(connection io.Closer) {
	s.lock.Lock()
	delete(s.open, connection)
	s.lock.Unlock()
	connection.Close()
}

func serve(args serveArgs) (any, error) {
	address, err := netip.ParseAddr(args.Address)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket(args.Namespace, args.Protocol, address, 0)
	if err != nil {
		return nil, fmt.Errorf("%s socket in %s: %w", args.Protocol, args.Namespace, err)
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(fd, sockaddr(address, args.Port)); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("%s cannot listen at %s port %d/%s: %w", args.Name, args.Address, args.Port, args.Protocol, err)
	}
	made := &server{name: args.Name, open: map[io.Closer]struct{}{}}
	switch {
	case args.Protocol == "UDP":
		err = made.answerDatagrams(fd, address.Is6(), time.Duration(args.DelayMs)*time.Millisecond)
	case args.Fast:
		err = made.greetFast(fd, address, args.Port)
	default:
		err = made.acceptStreams(fd, time.Duration(args.DelayMs)*time.Millisecond)
	}
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return open(made), nil
}

func (s *server) acceptStreams(fd int, delay time.Duration) error {
	if err := syscall.Listen(fd, 4096); err != nil {
		return err
	}
	listener, err := listenerOf(fd)
	if err != nil {
		return err
	}
	s.stop = func() { listener.Close() }
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			s.enter(connection)
			go func() {
				defer s.leave(connection)
				time.Sleep(delay)
				line, _ := json.Marshal(greeting{Self: s.name, Local: connection.LocalAddr().String(), Peer: connection.RemoteAddr().String()})
				if _, err := connection.Write(append(line, '\n')); err != nil {
					return
				}
				_, _ = io.Copy(connection, connection)
			}()
		}
	}()
	return nil
}

// listenerOf takes the socket over.
func listenerOf(fd int) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	return net.FileListener(file)
}

func (s *server) answerDatagrams(fd int, six bool, delay time.Duration) error {
	level, option, kind := syscall.IPPROTO_IP, syscall.IP_PKTINFO, syscall.IP_PKTINFO
	if six {
		level, option, kind = syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, syscall.IPV6_PKTINFO
	}
	if err := syscall.SetsockoptInt(fd, level, option, 1); err != nil {
		return err
	}
	// Answers are small; a large one of ours may be taken apart on the way.
	if !six {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DONT)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "datagrams")
	packets, err := net.FilePacketConn(file)
	file.Close()
	if err != nil {
		return err
	}
	connection := packets.(*net.UDPConn)
	s.stop = func() { connection.Close() }
	go func() {
		data := make([]byte, 65536)
		control := make([]byte, 256)
		for {
			size, controlSize, _, peer, err := connection.ReadMsgUDPAddrPort(data, control)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				// An ICMP error for an earlier answer: not the end.
				continue
			}
			s.lock.Lock()
			s.served++
			s.lock.Unlock()
			local, reply := reachedAt(control[:controlSize], level, kind, bound)
			line, _ := json.Marshal(greeting{Self: s.name, Local: local, Peer: netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()).String(), Size: size})
			if delay > 0 {
				time.AfterFunc(delay, func() { _, _, _ = connection.WriteMsgUDPAddrPort(line, reply, peer) })
				continue
			}
			_, _, _ = connection.WriteMsgUDPAddrPort(line, reply, peer)
		}
	}()
	return nil
}

// reachedAt reads the address that a datagram was sent to, and makes the control message to answer from it.
func reachedAt(control []byte, level, kind int, bound syscall.Sockaddr) (string, []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return textOf(bound), nil
	}
	for _, message := range messages {
		if int(message.Header.Level) != level || int(message.Header.Type) != kind {
			continue
		}
		switch at := bound.(type) {
		case *syscall.SockaddrInet4:
			info := (*syscall.Inet4Pktinfo)(unsafe.Pointer(&message.Data[0]))
			reply := make([]byte, syscall.CmsgSpace(syscall.SizeofInet4Pktinfo))
			header := (*syscall.Cmsghdr)(unsafe.Pointer(&reply[0]))
			header.Level, header.Type = int32(level), int32(kind)
			header.SetLen(syscall.CmsgLen(syscall.SizeofInet4Pktinfo))
			(*syscall.Inet4Pktinfo)(unsafe.Pointer(&reply[syscall.CmsgLen(0)])).Spec_dst = info.Addr
			return textOf(&syscall.SockaddrInet4{Port: at.Port, Addr: info.Addr}), reply
		case *syscall.SockaddrInet6:
			info := (*syscall.Inet6Pktinfo)(unsafe.Pointer(&message.Data[0]))
			reply := make([]byte, syscall.CmsgSpace(syscall.SizeofInet6Pktinfo))
			header := (*syscall.Cmsghdr)(unsafe.Pointer(&reply[0]))
			header.Level, header.Type = int32(level), int32(kind)
			header.SetLen(syscall.CmsgLen(syscall.SizeofInet6Pktinfo))
			(*syscall.Inet6Pktinfo)(unsafe.Pointer(&reply[syscall.CmsgLen(0)])).Addr = info.Addr
			return textOf(&syscall.SockaddrInet6{Port: at.Port, Addr: info.Addr}), reply
		}
	}
	return textOf(bound), nil
}

// greetFast accepts on threads of its own, without the runtime's poller: about twice as many connections a second.
func (s *server) greetFast(fd int, address netip.Addr, port int) error {
	if err := syscall.Listen(fd, 16384); err != nil {
		return err
	}
	fixed := []byte(netip.AddrPortFrom(address, uint16(port)).String() + "\n")
	s.stop = func() {
		// Wakes whoever waits in accept.
		_ = syscall.Shutdown(fd, syscall.SHUT_RD)
		syscall.Close(fd)
	}
	go func() {
		for {
			connection, _, err := syscall.Accept4(fd, syscall.SOCK_CLOEXEC)
			switch err {
			case nil:
			case syscall.EINTR, syscall.ECONNABORTED, syscall.EMFILE:
				continue
			default:
				return
			}
			text := fixed
			if address.IsUnspecified() {
				if local, err := syscall.Getsockname(connection); err == nil {
					text = []byte(textOf(local) + "\n")
				}
			}
			_, _ = syscall.Write(connection, text)
			syscall.Close(connection)
		}
	}()
	return nil
}

type relayArgs struct {
	Namespace string `json:"namespace"`
	// Address and port in the namespace.
	Listen string `json:"listen"`
	// Address and port in the namespace of this process.
	Target string `json:"target"`
}

// relay makes a server of our own namespace reachable at a loopback address of another one.
func relay(args relayArgs) (any, error) {
	at, err := netip.ParseAddrPort(args.Listen)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket(args.Namespace, "TCP", at.Addr(), 0)
	if err != nil {
		return nil, err
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(fd, sockaddr(at.Addr(), int(at.Port()))); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("relay at %s in %s: %w", args.Listen, args.Namespace, err)
	}
	if err := syscall.Listen(fd, 256); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	listener, err := listenerOf(fd)
	if err != nil {
		return nil, err
	}
	made := &server{name: "relay", open: map[io.Closer]struct{}{}, stop: func() { listener.Close() }}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				made.enter(near)
				defer made.leave(near)
				far, err := net.Dial("tcp", args.Target)
				if err != nil {
					if connection, ok := near.(*net.TCPConn); ok {
						_ = connection.SetLinger(0)
					}
					return
				}
				defer far.Close()
				go func() {
					_, _ = io.Copy(far, bufio.NewReader(near))
					_ = far.(*net.TCPConn).CloseWrite()
				}()
				_, _ = io.Copy(near, far)
			}()
		}
	}()
	return open(made), nil
}
