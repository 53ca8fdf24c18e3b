"""A GPT-2 saved by Hugging Face's transformers gives the same logits in ttm-eval; a run of ttm-train loads into transformers.

    python3 tests/oracle/huggingface_check.py FOLDER-OF-THE-TOOLS [FOLDER-OF-A-DENSE-RUN]

By hand: needs torch, transformers and safetensors.
"""
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel


def main(tools, run=None):
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=5000, n_positions=128, n_embd=96, n_layer=3, n_head=6,
                                       bos_token_id=None, eos_token_id=None)).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    tokens = torch.randint(0, 5000, (1, 40))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with torch.no_grad():
            wanted = model.double()(tokens).logits[0]
        subprocess.run([tools + "/ttm-eval", "--model", folder, "--tokens", " ".join(map(str, tokens[0].tolist())),
                        "--logits", folder + "/logits.safetensors"], check=True)
        logits = load_file(folder + "/logits.safetensors")["logits"].double()
    error = ((logits - wanted).abs().max() / wanted.abs().max()).item()
    print("relative error of the logits:", error)
    if run:
        loaded = GPT2LMHeadModel.from_pretrained(run)
        print("loaded", run, "with", sum(p.numel() for p in loaded.parameters()), "parameters")
    return 0 if error < 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
