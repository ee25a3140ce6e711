// PES processing elements that sum chunks, and one outer accumulator for all of them; with one
// element, chunking within it.
//
// a and b carry one operand of each element. Element `index` has just finished a chunk where
// `valid` is set; that chunk is the first of its sum where `outer_first` is.
module fp_chunked_column #(
    parameter PES = 4,
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter E = 5,          // the inner accumulator
    parameter M = 4,
    parameter SUBNORMALS = 1,
    parameter BIAS = -1,
    parameter ROUNDING = 0,
    parameter R = 1,
    parameter EO = 6,         // the outer accumulator
    parameter MO = 9,
    parameter SUBNORMALSO = 1,
    parameter BIASO = -16,    // the inner bias - the outer one
    parameter ROUNDINGO = 0,
    parameter RO = 1,
    parameter I = PES > 1 ? $clog2(PES) : 1  // derived: bits of the index
) (
    input clk,
    input [PES-1:0] first,
    input [PES*(EA+MA+1)-1:0] a,
    input [PES*(EB+MB+1)-1:0] b,
    input [PES*R-1:0] random,
    input valid,
    input outer_first,
    input [I-1:0] index,
    input [RO-1:0] outer_random,
    output [EO+MO:0] sum
);
    localparam B = E + M + 1;
    wire [PES*B-1:0] inner;
    genvar i;
    generate
        for (i = 0; i < PES; i = i + 1) begin : element
            fp_pe #(
                .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA),
                .EB(EB), .MB(MB), .SUBNORMALSB(SUBNORMALSB),
                .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .BIAS(BIAS), .ROUNDING(ROUNDING), .R(R)
            ) pe (
                .clk(clk), .first(first[i]), .a(a[i*(EA+MA+1)+:EA+MA+1]),
                .b(b[i*(EB+MB+1)+:EB+MB+1]), .random(random[i*R+:R]), .sum(inner[i*B+:B])
            );
        end
    endgenerate
    wire [B-1:0] chosen = inner >> (index * B);
    fp_outer #(
        .EA(E), .MA(M), .SUBNORMALSA(SUBNORMALS), .E(EO), .M(MO), .SUBNORMALS(SUBNORMALSO),
        .BIAS(BIASO), .ROUNDING(ROUNDINGO), .R(RO), .DEPTH(PES)
    ) outer (
        .clk(clk), .valid(valid), .first(outer_first), .index(index), .addend(chosen),
        .random(outer_random), .sum(sum)
    );
endmodule
