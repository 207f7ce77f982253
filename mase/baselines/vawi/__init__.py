"""VAWI: visually-augmented language models without images (Guo et al. 2023).

Visually-hungry words are found in the text (`words`, and `reformulation.LearnedSelector`), a frozen CLIP
text tower reads each as "a photo of: [word]", a position-aware attention turns their vectors v_1..v_S into
as many of the language model's width, and each is put right after its word among the input embeddings:

    Q = P(positions of the words)    K = W_K v + b_K    V = W_V v + b_V    softmax(Q K^T / sqrt(E)) V

P is the language model's own table of positions. Only the task loss trains: the language model, the
reformulation and the head, or (`vawi.train: reformulation`, T5 in the paper) the last two alone; a decoder is
part of the language model (`writer`).

No code was released. Reading of the paper, where it is silent:
    - how many words a text has: at most `vawi.words` of each of a row's texts, for every selector; syntax
      takes the first ones; nouns and adjectives are the tags NN* and JJ* of the scene graph's tagger;
    - attention: of the tower's last layer, mean over heads, a word having the sum of its tokens';
    - the learned selector's token states are the backbone's own, from a first pass over the row without
      gradient; a word has its last token's. Gumbel noise is drawn in training only, a text's k best words are
      chosen, and the softmax over its words passes the gradient on (straight-through);
    - a word's position is that of its last token before anything is inserted. A backbone without a table of
      positions (T5, XLNet, DeBERTa v3, ModernBERT) gets the sinusoids of Vaswani et al. 2017;
    - all words of a row, of a pair those of both texts, are keys of one attention;
    - an inserted vector has its word's segment type, and counts where states are averaged;
    - W_V starts at the scale of the backbone's word embeddings, and features are scaled as everywhere here.
"""
