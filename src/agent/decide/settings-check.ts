/**
 * Everything that is wrong with the settings of an agent, all in one go.
 *
 * An `error` keeps the agent from starting; a `warning` says that a setting has no effect, or another than it may seem.
 */
import { contains, overlaps, parseAddress, parseCidr } from '../../core/cidr.ts';
import type { Cidr } from '../../core/cidr.ts';
import type { Problem } from '../../core/problems.ts';
import type { AgentSettings } from './settings.ts';

/** IFNAMSIZ, without the end mark. */
const longestInterfaceName = 15;

/** @returns the problems, with the names of `AgentSettings` as fields; empty where all is well. */
export function checkSettings(settings: AgentSettings): readonly Problem[] {
  return [
    ...checkNames(settings),
    ...checkDetectLocal(settings),
    ...checkNodePorts(settings),
    ...checkMark(settings),
    ...checkServiceRanges(settings),
  ];
}

function error(field: string, message: string, cure: string): Problem {
  return { severity: 'error', reason: 'InvalidConfig', field, message, cure };
}

function warning(field: string, message: string, cure: string): Problem {
  return { severity: 'warning', reason: 'IneffectiveSetting', field, message, cure };
}

function checkNames({ nodeName, families }: AgentSettings): readonly Problem[] {
  const problems: Problem[] = [];
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(nodeName) || nodeName.length > 253) {
    const cure = 'give metadata.name of the Node object, in lower case, without blanks';
    problems.push(error('nodeName', `"${nodeName}" cannot be the name of a node`, cure));
  }
  if (families.length === 0) {
    problems.push(error('families', 'no address family is given', 'name IPv4, IPv6 or both'));
  }
  if (new Set(families).size < families.length) {
    problems.push(error('families', `a family is given twice: ${families.join(', ')}`, 'name each once'));
  }
  return problems;
}

/** Reads ranges; what cannot be read is an error, what is read differently from how it looks a warning. */
function readRanges(field: string, texts: readonly string[], problems: Problem[]): readonly Cidr[] {
  return texts.flatMap((text) => {
    const read = parseCidr(text);
    if (read.kind === 'malformed') {
      const cure =
        text === text.trim()
          ? 'write ranges as address/prefix, without leading zeros'
          : 'remove the blanks around it';
      problems.push(error(field, read.message, cure));
      return [];
    }
    if (read.cidr.hostBits) {
      problems.push(
        warning(
          field,
          `"${text}" has bits beyond its prefix and means ${read.cidr.text}`,
          'write the range so',
        ),
      );
    }
    return [read.cidr];
  });
}

function checkDetectLocal({ detectLocal, families }: AgentSettings): readonly Problem[] {
  const problems: Problem[] = [];
  switch (detectLocal.kind) {
    case 'cluster-cidr': {
      const field = 'detectLocal.cidrs';
      const read = readRanges(field, detectLocal.cidrs, problems);
      if (detectLocal.cidrs.length === 0) {
        problems.push(error(field, 'no pod range is given', 'give the pod ranges of the cluster'));
      }
      for (const family of families) {
        if (problems.length === 0 && !read.some((range) => range.family === family)) {
          problems.push(
            warning(
              field,
              `no range is of ${family}, so no pod is known in it`,
              `add the ${family} pod range`,
            ),
          );
        }
      }
      break;
    }
    case 'bridge':
      problems.push(...checkInterface('detectLocal.name', detectLocal.name));
      break;
    case 'interface-prefix':
      problems.push(...checkInterface('detectLocal.prefix', detectLocal.prefix));
      break;
    case 'node-cidr':
    case 'none':
      break;
  }
  return problems;
}

function checkInterface(field: string, name: string): readonly Problem[] {
  if (name !== '' && name.length <= longestInterfaceName && !/[\s/"*+]/.test(name)) return [];
  const cure = `give 1 to ${longestInterfaceName} characters without blanks, slashes, quotes, * and +`;
  return [error(field, `"${name}" cannot be the name of an interface, or its beginning`, cure)];
}

function checkNodePorts(settings: AgentSettings): readonly Problem[] {
  const problems: Problem[] = [];
  const { nodePortAddresses: chosen, localhostNodePorts, families, backend } = settings;
  let loopback = true;
  if (typeof chosen !== 'string') {
    const field = 'nodePortAddresses';
    const read = readRanges(field, chosen, problems);
    const localhost = parseAddress('127.0.0.1');
    const four = read.filter(({ family }) => family === 'IPv4');
    loopback =
      four.length === 0 || (localhost !== undefined && four.some((range) => contains(range, localhost)));
    if (chosen.length === 0) {
      problems.push(error(field, 'the list is empty', 'give ranges, "primary" or "all"'));
    }
    for (const family of families) {
      if (problems.length === 0 && !read.some((range) => range.family === family)) {
        const message = `no range is of ${family}, so its node ports answer at every local address`;
        problems.push(warning(field, message, `add an ${family} range to limit them`));
      }
    }
  }
  if (!localhostNodePorts) return problems;
  const field = 'localhostNodePorts';
  if (backend !== 'iptables') {
    problems.push(
      warning(field, `the ${backend} backend has no node ports at 127.0.0.1`, 'choose the iptables backend'),
    );
  } else if (!families.includes('IPv4')) {
    problems.push(warning(field, 'they exist over IPv4 only, which is off', 'add IPv4 to the families'));
  } else if (!loopback) {
    const message = 'the addresses of node ports leave 127.0.0.1 out';
    problems.push(warning(field, message, 'add 127.0.0.0/8 to them'));
  }
  return problems;
}

function checkMark({ markBit, scope }: AgentSettings): readonly Problem[] {
  if (!Number.isInteger(markBit) || markBit < 0 || markBit > 31) {
    return [error('markBit', `"${markBit}" is not the number of a bit`, 'give a number from 0 to 31')];
  }
  const others: Readonly<Record<number, string>> = { 14: "kube-proxy's", 15: "kubelet's" };
  const whose = others[markBit];
  if (whose === undefined) return [];
  // kube-proxy clears its bit by flipping it: two that use one bit undo each other.
  return scope === 'labelled'
    ? [
        error(
          'markBit',
          `bit ${markBit} is ${whose}, which runs beside the agent`,
          'choose another bit, say 13',
        ),
      ]
    : markBit === 15
      ? [warning('markBit', 'bit 15 is dropped by rules of older kubelets', 'choose another bit, say 13')]
      : [];
}

function checkServiceRanges({ serviceRanges, scope, detectLocal }: AgentSettings): readonly Problem[] {
  const problems: Problem[] = [];
  const field = 'serviceRanges';
  const read = readRanges(field, serviceRanges, problems);
  if (scope === 'labelled' && serviceRanges.length > 0) {
    const message = 'beside kube-proxy most addresses of these ranges are not ours, so they are not heeded';
    problems.push(warning(field, message, 'leave them out, or choose scope "all"'));
  }
  const pods = detectLocal.kind === 'cluster-cidr' ? detectLocal.cidrs : [];
  for (const text of pods) {
    const pod = parseCidr(text);
    if (pod.kind !== 'cidr') continue;
    for (const range of read) {
      if (!overlaps(pod.cidr, range)) continue;
      const message = `${range.text} shares addresses with the pod range ${pod.cidr.text}: pods would be cut off`;
      problems.push(error(field, message, 'correct one of the two'));
    }
  }
  return problems;
}
